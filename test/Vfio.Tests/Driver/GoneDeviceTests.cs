using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Tests.Driver;

/// <summary>A device that was removed reads as all ones, until its memory goes too.</summary>
public sealed class GoneDeviceTests : IDisposable
{
    private readonly FakeDevice _device = new();
    private readonly FileDescriptor _file = MemoryFile.Create("bar", 0x1000);
    private readonly PciDevice _function;
    private readonly Bar _bar;

    public GoneDeviceTests()
    {
        _device.AddMappable(RegionIndex.Bar(0), _file, 0x1000);
        _function = new PciDevice(_device);
        _bar = _function.OpenBar(0);
        Assert.True(_bar.IsMapped(0));
        _bar.Write64(0, ulong.MaxValue);
    }

    public void Dispose()
    {
        _function.Dispose();
        _file.Dispose();
    }

    [Fact]
    public void All_ones_of_a_device_that_is_there_are_a_value()
    {
        Assert.Equal(uint.MaxValue, _bar.Read32(0));
        Assert.Equal(ulong.MaxValue, _bar.Read64(0));
        Assert.Equal(byte.MaxValue, _bar.Read8(0));
    }

    [Fact]
    public void All_ones_of_a_device_whose_config_space_does_not_answer_are_ENODEV()
    {
        // Header Type reads as all ones; the ids are a copy that the provider keeps.
        Assert.True(_function.IsPresent);
        _device.Config(0x0e, 0xff);
        Assert.False(_function.IsPresent);
        VfioException gone = Assert.Throws<VfioException>(() => _bar.Read32(0));
        Assert.Equal(19, (int)gone.Errno);
        Assert.Contains("removed", gone.Message);
        Assert.Equal(19, (int)Assert.Throws<VfioException>(() => _bar.Read64(0)).Errno);
        Assert.Equal(0u, _bar.Read32(8));
    }
}
