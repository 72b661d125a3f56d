using Xunit;

namespace Vfio.Tests.Driver;

public sealed class PciDeviceTests
{
    private const int Command = 0x04;

    [Fact]
    public void Ids_are_those_of_config_space()
    {
        using PciDevice device = new(new FakeDevice());

        Assert.Equal((0x1234, 0x11e8), (device.VendorId, device.DeviceId));
        Assert.Equal(0x11e81234u, device.Config.Read32(0));
        Assert.Equal(0x12, device.Config.Read8(1));
        Assert.Equal("fake", device.Name);
    }

    [Fact]
    public void Another_kind_of_device_is_refused_and_released()
    {
        FakeDevice fake = new() { Info = new DeviceInfo(DeviceFlags.Reset, 9, 5) };

        Assert.Equal(Errno.NoDevice, Assert.Throws<VfioException>(() => new PciDevice(fake)).Errno);
        Assert.True(fake.IsDisposed);
    }

    [Fact]
    public void Config_accesses_outside_or_unaligned_are_argument_errors()
    {
        using PciDevice device = new(new FakeDevice());

        Assert.Throws<ArgumentOutOfRangeException>(() => device.Config.Read32(0x100));
        Assert.Throws<ArgumentOutOfRangeException>(() => device.Config.Read32(2));
        Assert.Throws<ArgumentOutOfRangeException>(() => device.Config.Read16(-2));
        Assert.Throws<ArgumentOutOfRangeException>(() => device.Config.Write8(0x100, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => device.Config.Write16(1, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => device.Config.Write32(0xfe, 0));
    }

    [Fact]
    public void Capabilities_are_found_by_id()
    {
        FakeDevice fake = new();
        fake.Config(0x06, 0x10);
        fake.Config(0x34, 0x40);
        fake.Config(0x40, 0x05, 0x60, 0x80, 0x00); // MSI, 64 bits
        fake.Config(0x60, 0x01, 0x00, 0x03, 0x00); // Power Management
        using PciDevice device = new(fake);

        Assert.Equal(0x40, device.Config.FindCapability(0x05)?.Offset);
        Assert.Equal(0x60, device.Config.FindCapability(0x01)?.Offset);
        Assert.Null(device.Config.FindCapability(0x11));
        Assert.Null(device.Config.FindCapability(0x05, isExtended: true));
    }

    [Fact]
    public void The_driver_enables_bus_mastering()
    {
        FakeDevice fake = new();
        using PciDevice device = new(fake);
        Assert.False(device.IsBusMaster);
        device.EnableBusMaster();
        Assert.True(device.IsBusMaster);
        Assert.Equal(4, fake.Region(RegionIndex.Config)[Command]);
        device.DisableBusMaster();
        Assert.False(device.IsBusMaster);
    }

    [Fact]
    public void Opening_a_bar_enables_the_decoding_that_it_needs()
    {
        FakeDevice fake = new();
        fake.AddRegion(RegionIndex.Bar(0), 0x1000);
        fake.AddRegion(RegionIndex.Bar(1), 0x20);
        fake.Config(0x14, 0x01, 0xc0); // BAR1 at I/O port 0xc000
        using PciDevice device = new(fake);

        Bar memory = device.OpenBar(0);
        Assert.Equal(2, fake.Region(RegionIndex.Config)[Command]);
        device.OpenBar(1);
        Assert.Equal(3, fake.Region(RegionIndex.Config)[Command]);
        Assert.Same(memory, device.OpenBar(0));
        Assert.Equal(Errno.NoEntry, Assert.Throws<VfioException>(() => device.OpenBar(2)).Errno);
        Assert.Throws<ArgumentOutOfRangeException>(() => device.OpenBar(6));
    }

    [Fact]
    public void After_a_reset_bars_answer_the_bus_is_quiet_and_nothing_is_pending()
    {
        FakeDevice fake = new();
        fake.AddRegion(RegionIndex.Bar(0), 0x1000);
        fake.AddInterrupt(InterruptIndex.Intx, 1, InterruptFlags.EventFd | InterruptFlags.Maskable | InterruptFlags.AutoMasked);
        using PciDevice device = new(fake);
        device.OpenBar(0);
        device.EnableBusMaster();
        Interrupt pin = device.Interrupts.Enable(1)[0];
        DmaBuffer buffer = device.AllocateDma(4096);
        fake.Fire(InterruptIndex.Intx);

        device.Reset();

        Assert.Equal(2, fake.Region(RegionIndex.Config)[Command]);
        Assert.False(pin.Wait(TimeSpan.Zero));
        Assert.Equal(["reset", "Unmask INTx 0+1"], fake.Log[^2..]);
        Assert.Contains(buffer.Start, fake.Mappings);
        fake.Fire(InterruptIndex.Intx);
        Assert.True(pin.Wait(HangGuard.Timeout));
    }

    [Fact]
    public void A_release_stops_it_before_its_memory_is_freed()
    {
        FakeDevice fake = new();
        fake.AddInterrupt(InterruptIndex.Msi, 1);
        PciDevice device = new(fake);
        device.EnableBusMaster();
        device.Interrupts.Enable(1);
        DmaBuffer buffer = device.AllocateDma(4096);
        fake.Log.Clear();

        device.Dispose();
        device.Dispose();

        Assert.Equal(0, fake.Region(RegionIndex.Config)[Command]);
        Assert.Equal(["disable MSI", $"unmap {buffer.Start} {buffer.Length:x}", "dispose"], fake.Log);
        Assert.Throws<ObjectDisposedException>(() => device.AllocateDma(1));
        Assert.Throws<ObjectDisposedException>(() => device.OpenBar(0));
    }

    [Fact]
    public void Config_accesses_allocate_nothing()
    {
        using PciDevice device = new(new FakeDevice());
        Assert.Equal(0, Measure.Allocations(() =>
        {
            device.Config.Write8(0x3c, device.Config.Read8(0x3c));
            device.Config.Write16(0x2c, device.Config.Read16(0x2c));
            device.Config.Write32(0x10, device.Config.Read32(0x10));
        }));
    }
}
