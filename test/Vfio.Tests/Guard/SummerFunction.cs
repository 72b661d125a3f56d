using Vfio.Guard;

namespace Vfio.Tests.Guard;

/// <summary>A whole device: it sums a buffer in memory on a register write, and interrupts.</summary>
public sealed class SummerFunction : EmulatedFunction
{
    private static readonly RegisterMap<Register> Map = new(length: 0x1000)
    {
        // offset, bytes, register,   reset,      writable,              write-1-to-clear
        { 0x00, 4, Register.Identity, 0x5a11_0001 },
        { 0x08, 8, Register.Address,  0,          0xffff_ffff_ffff_ffff },
        { 0x10, 4, Register.Count,    0,          0x0000_0fff },
        { 0x14, 4, Register.Sum,      0 },
        { 0x18, 4, Register.Status,   0,          0,                     0x0000_0003 },
    };

    private readonly RegisterFile<Register> _registers = new(Map);

    public SummerFunction()
        : base(new FunctionDescription("summer", VendorId: 0x1234, DeviceId: 0x5a11) { InterruptPin = 1, MsiVectors = 1, HasFlr = true })
    {
        _registers.OnWrite(Register.Count, count => Add((int)count));
        _registers.OnWrite(Register.Status, _ => EndInterrupt());
        AddBar(0, _registers);
    }

    private enum Register { Identity, Address, Count, Sum, Status }

    private void Add(int count)
    {
        byte[] bytes = new byte[count & 0xfff];
        bool failed = Slot.ReadMemory(new Iova(_registers[Register.Address]), bytes) != Errno.None;
        _registers[Register.Sum] = (uint)bytes.Sum(value => value);
        _registers.Set(Register.Status, failed ? 2u : 1u);
        Interrupt();
    }
}
