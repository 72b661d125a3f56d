using Vfio.Guard;

namespace Vfio.Tests.Guard;

/// <summary>A device with some of everything that a migration carries: registers, memory around an MSI-X table, a pin, messages with
/// masks, a byte of its own that must not be 0xff, and status bits.</summary>
internal sealed class MovableFunction : PlainFunction
{
    internal const int MemoryBytes = 0x40000, TableOffset = 0x10000, PendingOffset = 0x11000, Vectors = 70;

    private static readonly RegisterMap<Register> Map = new(length: 0x1000)
    {
        { 0x00, 4, Register.Wide, 0x11, 0xffff_ffff },
        { 0x04, 1, Register.Narrow, 0, 0xff },
        { 0x08, 8, Register.ReadOnly, 5 },
    };

    internal MovableFunction(bool isExpress = true)
        : base(
            Describe(isExpress),
            (0, new RegisterFile<Register>(Map), BarType.Memory32),
            (2, new MemoryBar("movable", MemoryBytes), BarType.Memory32))
    {
    }

    private enum Register { Wide, Narrow, ReadOnly }

    public override bool CanMigrate => true;

    internal byte Own { get; set; }

    internal bool IsStopped { get; private set; }

    private static FunctionDescription Describe(bool isExpress) => new("movable", 0x1234, 0x7777)
    {
        InterruptPin = 1,
        MsiVectors = 4,
        MsiHasMasks = true,
        Msix = new MsixDescription(Vectors, Bar: 2, TableOffset, PendingOffset),
        PowerManagement = PowerManagementKind.NoSoftReset,
        IsExpress = isExpress,
        HasFlr = true,
    };

    protected override void OnStop() => IsStopped = true;

    protected override void OnStart() => IsStopped = false;

    protected override void OnSave(StateWriter state) => state.Write(Own);

    protected override bool OnRestore(ref StateReader state)
    {
        bool isRight = state.TryRead(out byte own) && own != 0xff;
        Own = own;
        return isRight;
    }

    protected override void OnReset()
    {
        base.OnReset();
        Own = 0;
    }
}
