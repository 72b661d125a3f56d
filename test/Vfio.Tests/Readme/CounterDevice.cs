// README: a device
using Vfio.Guard;

namespace Vfio.Tests.Readme;

/// <summary>A device that counts: writing STEP adds it to COUNT and interrupts.</summary>
public sealed class CounterDevice : EmulatedFunction
{
    private static readonly RegisterMap<Register> Map = new(length: 0x1000)
    {
        // offset, bytes, register,    reset, writable
        { 0x00, 4, Register.Count,     0,     0 },
        { 0x04, 4, Register.Step,      0,     0xffff_ffff },
    };

    private readonly RegisterFile<Register> _registers = new(Map);

    public CounterDevice()
        : base(new FunctionDescription("counter", VendorId: 0x1234, DeviceId: 0x0001) { MsiVectors = 1 })
    {
        _registers.OnWrite(Register.Step, step =>
        {
            _registers[Register.Count] += step;
            Interrupt();
        });
        AddBar(0, _registers);
    }

    private enum Register { Count, Step }
}
