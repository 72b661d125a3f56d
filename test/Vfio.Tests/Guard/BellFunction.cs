using Vfio.Guard;

namespace Vfio.Tests.Guard;

/// <summary>A device with doorbells: one for any value, one for a single value; it counts what reaches them and interrupts.</summary>
internal sealed class BellFunction : EmulatedFunction
{
    public const ulong Any = 0x1000, OnlySeven = 0x1008, Faulty = 0x1010;

    private static readonly RegisterMap<Register> Map = new(length: 0x2000)
    {
        // offset, bytes, register,   reset, writable
        { 0x0000, 4, Register.Rings },
        { 0x0004, 4, Register.Sevens },
        { 0x1000, 4, Register.Any },
        { 0x1008, 2, Register.OnlySeven },
        { 0x1010, 4, Register.Faulty },
    };

    private readonly RegisterFile<Register> _registers = new(Map);

    public BellFunction()
        : base(new FunctionDescription("bell", VendorId: 0x1234, DeviceId: 0xbe11) { MsiVectors = 1, HasFlr = true })
    {
        _registers.OnWrite(Register.Any, _ => Count(Register.Rings));
        _registers.OnWrite(Register.OnlySeven, value => Count(value == 7 ? Register.Sevens : Register.Rings));
        _registers.OnWrite(Register.Faulty, _ => throw new InvalidOperationException("a bug of the device"));
        AddBar(0, _registers);
        AddDoorbell(0, Any, 4);
        AddDoorbell(0, OnlySeven, 2, match: 7);
        AddDoorbell(0, Faulty, 4);
    }

    private enum Register { Rings, Sevens, Any, OnlySeven, Faulty }

    public override bool CanMigrate => true;

    public new void AddDoorbell(int number, ulong offset, int width, ulong? match = null) => base.AddDoorbell(number, offset, width, match);

    private void Count(Register counter)
    {
        _registers[counter]++;
        Interrupt();
    }
}
