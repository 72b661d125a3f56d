using Vfio.Guard;

namespace Vfio.Tests.Guests;

/// <summary>A PCI Express function that is reset by function level resets only: a register that keeps what is written, and an
/// interrupt at each write.</summary>
internal sealed class ExpressFunction : EmulatedFunction
{
    public const ushort Vendor = 0x1234, Device = 0x0002;

    private static readonly RegisterMap<Register> Map = new(length: 0x1000)
    {
        { 0x00, 4, Register.Kept, 0x5555_5555, 0xffff_ffff },
    };

    private readonly RegisterFile<Register> _registers = new(Map);

    public ExpressFunction()
        : base(new FunctionDescription("express", Vendor, Device) { MsiVectors = 1, IsExpress = true, HasFlr = true, HasOwnReset = false })
    {
        _registers.OnWrite(Register.Kept, _ => Interrupt());
        AddBar(0, _registers);
    }

    private enum Register { Kept }

    /// <summary>How many function level resets there were.</summary>
    public int Resets { get; private set; }

    public override Errno Reset(ResetMethod method)
    {
        if (method == ResetMethod.Flr)
            Resets++;
        return base.Reset(method);
    }
}
