using Vfio;
using Vfio.Guard;

namespace Device._1.Tests;

public sealed class CounterDeviceTests : IDisposable
{
    // The registers once more, as a driver's author reads them in the data sheet.
    private const long Count = 0x00, Step = 0x04, Status = 0x08;

    private readonly GuardedFunction _function = new(new CounterDevice());
    private readonly PciDevice _device;
    private readonly Bar _registers;

    public CounterDeviceTests()
    {
        _device = new PciDevice(_function.Open());
        _registers = _device.OpenBar(0);
    }

    [Fact]
    public void Steps_are_added()
    {
        _registers.Write32(Step, 5);
        _registers.Write32(Step, 6);
        Assert.Equal(11u, _registers.Read32(Count));
        Assert.Equal(0u, _registers.Read32(Status));
    }

    [Fact]
    public void An_overflow_interrupts()
    {
        Interrupt interrupt = _device.Interrupts.Enable(1)[0];
        _device.EnableBusMaster(); // MSI is a write to memory
        _registers.Write32(Count, 0xffff_ffff);
        _registers.Write32(Step, 3);
        Assert.True(interrupt.Wait(TimeSpan.FromSeconds(10)));
        Assert.Equal(2u, _registers.Read32(Count));
        Assert.Equal(1u, _registers.Read32(Status));
        _registers.Write32(Status, 1);
        Assert.Equal(0u, _registers.Read32(Status));
    }

    public void Dispose()
    {
        _device.Dispose();
        _function.Dispose();
    }
}
