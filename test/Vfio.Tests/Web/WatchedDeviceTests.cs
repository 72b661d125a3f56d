using Vfio.Tests.Browser;
using Vfio.Web.Devices;
using WebRequest = Vfio.Cli.Verbs.WebRequest;

namespace Vfio.Tests.Web;

/// <summary>The devices of <c>vfio web</c>.</summary>
public sealed class WatchedDeviceTests
{
    [Fact]
    public void A_device_is_open_as_long_as_its_users_session()
    {
        using WatchedDevice device = WatchedDevice.Find("model:edu", new VfioDeviceOptions(), isServed: true);
        Assert.False(device.IsOpen);
        using (device.OpenForUser())
        {
            device.Look();
            Assert.True(device.IsOpen);
        }

        Assert.False(device.IsOpen);
        Assert.Equal(Errno.NoDevice, Assert.Throws<VfioException>(() => device.ReadRegister(RegionIndex.Bar0, 0, 4)).Errno);
    }

    [Fact]
    public async Task A_device_whose_server_has_ended_is_not_open_and_keeps_what_was_read()
    {
        string folder = Directory.CreateTempSubdirectory("vfio-watched-").FullName;
        string socket = Path.Combine(folder, "device.sock");
        ServedPage served = await ServedPage.StartAsync(new WebRequest(["model:edu"], new VfioDeviceOptions()) { Socket = socket });
        served.Connect().Dispose();
        using WatchedDevice device = WatchedDevice.Find($"unix:{socket}", new VfioDeviceOptions(), isServed: false);
        device.Look();
        Assert.True(device.IsOpen);
        byte[] config = device.Config;
        device.Look();
        Assert.Same(config, device.Config);

        await served.DisposeAsync();
        device.Look();
        Assert.False(device.IsOpen);
        Assert.Same(config, device.Config);
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public void Of_two_equal_capabilities_the_one_that_is_missing_is_said()
    {
        // Two vendor-specific capabilities (09h) of three bytes; the same device with the first alone.
        byte[] two = new byte[256], one = new byte[256];
        foreach (byte[] config in new[] { two, one })
        {
            (config[0x06], config[0x34]) = (0x10, 0x40);
            (config[0x40], config[0x42]) = (0x09, 0x03);
        }

        two[0x41] = 0x50;
        (two[0x50], two[0x52]) = (0x09, 0x03);
        Assert.Contains(ConfigDifference.Of(two, one), register => register.Right is null && register.Offset >= 0x50);
        Assert.Contains(ConfigDifference.Of(one, two), register => register.Left is null && register.Offset >= 0x50);
        Assert.DoesNotContain(ConfigDifference.Of(two, two), register => register.Differs);
    }
}
