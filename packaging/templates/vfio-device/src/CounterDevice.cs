using Vfio.Guard;

namespace Device._1;

/// <summary>A counter: what is written to STEP is added to COUNT; each overflow sets a bit of STATUS and interrupts.</summary>
public sealed class CounterDevice : EmulatedFunction
{
    private const uint Overflow = 1;

    private static readonly RegisterMap<Register> Map = new(length: 0x1000)
    {
        // offset, bytes, register,    reset, writable,    write-1-to-clear
        { 0x00, 4, Register.Count,     0,     0xffff_ffff, 0 },
        { 0x04, 4, Register.Step,      0,     0xffff_ffff, 0 },
        { 0x08, 4, Register.Status,    0,     0,           Overflow },
    };

    private readonly RegisterFile<Register> _registers = new(Map);

    /// <summary>Makes the device, with its registers in BAR0 and one MSI vector.</summary>
    public CounterDevice()
        : base(new FunctionDescription("counter", VendorId: 0x1234, DeviceId: 0x0001) { MsiVectors = 1 })
    {
        _registers.OnWrite(Register.Step, Count);
        AddBar(0, _registers);
    }

    private enum Register { Count, Step, Status }

    private void Count(ulong step)
    {
        ulong sum = _registers[Register.Count] + step;
        _registers[Register.Count] = (uint)sum;
        if (sum <= uint.MaxValue)
            return;
        _registers.Set(Register.Status, Overflow);
        Interrupt();
    }
}
