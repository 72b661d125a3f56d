using Vfio.Devices.Edu;
using Vfio.Guard;
using Vfio.User;

namespace Vfio.Tests.Open;

/// <summary>What the address of a server may say.</summary>
public sealed class DeviceAddressTests
{
    [Theory]
    [InlineData("unix:/run/x.sock", "/run/x.sock", 0)]
    [InlineData("unix:/run/x.sock?reconnect=5s", "/run/x.sock", 5_000)]
    [InlineData("unix:/run/x.sock?reconnect=250ms", "/run/x.sock", 250)]
    [InlineData("unix:/run/x.sock?reconnect=2min", "/run/x.sock", 120_000)]
    [InlineData("unix:/run/what?.sock", "/run/what?.sock", 0)]
    [InlineData("unix:/run/what?.sock?reconnect=1s", "/run/what?.sock", 1_000)]
    public void A_server_is_a_path_and_perhaps_how_long_to_wait_for_it(string text, string path, int milliseconds)
    {
        DeviceAddress address = DeviceAddress.Parse(text);
        Assert.Equal(AddressScheme.Unix, address.Scheme);
        Assert.Equal(path, address.Place);
        Assert.Equal(TimeSpan.FromMilliseconds(milliseconds), address.Reconnect);
        Assert.Equal(text, address.ToString());
    }

    [Theory]
    [InlineData("0000:01:00.0", false, false, "0000:01:00.0")]
    [InlineData("01:00.0?guard=0", false, false, "0000:01:00.0")]
    [InlineData("pci:0000:01:00.0?guard=1", true, false, "0000:01:00.0?guard=1")]
    [InlineData("0000:01:00.0?guard=1&reset=optional", true, true, "0000:01:00.0?guard=1&reset=optional")]
    [InlineData("0000:01:00.0?guard=1&reset=required", true, false, "0000:01:00.0?guard=1&reset=required")]
    public void A_function_may_be_opened_through_the_guard(string text, bool isGuarded, bool allowsWithoutReset, string whole)
    {
        DeviceAddress address = DeviceAddress.Parse(text);
        Assert.Equal((AddressScheme.Pci, isGuarded, allowsWithoutReset), (address.Scheme, address.IsGuarded, address.AllowsWithoutReset));
        Assert.Equal("0000:01:00.0", address.Function.ToString());
        Assert.Equal(whole, address.ToString());
    }

    [Theory]
    [InlineData("0000:01:00.0?guard=2", "guard=1")]
    [InlineData("0000:01:00.0?", "option=value")]
    [InlineData("0000:01:00.0?timeout=5s", "guard=1")]
    [InlineData("0000:01:00.0?reset=optional", "add guard=1")]
    public void Another_option_of_a_function_is_EINVAL(string text, string reason)
    {
        VfioException refusal = Assert.Throws<VfioException>(() => DeviceAddress.Parse(text));
        Assert.Equal(22, (int)refusal.Errno);
        Assert.Contains(reason, refusal.Message);
    }

    [Fact]
    public void A_mediated_device_is_its_UUID()
    {
        DeviceAddress address = DeviceAddress.Parse("mdev:83B8F4F2-509f-382f-3c1e-e6bfe0fa1001");
        Assert.Equal(AddressScheme.Mediated, address.Scheme);
        Assert.Equal(new Guid("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"), address.Uuid);
        Assert.Equal("mdev:83b8f4f2-509f-382f-3c1e-e6bfe0fa1001", address.ToString());
    }

    [Theory]
    [InlineData("unix:/run/x.sock", null, 0)]
    [InlineData("unix:/run/x.sock?timeout=5s", 5_000, 0)]
    [InlineData("unix:/run/x.sock?timeout=1ms", 1, 0)]
    [InlineData("unix:/run/x.sock?timeout=1440min", 86_400_000, 0)]
    [InlineData("unix:/run/x.sock?timeout=infinite", -1, 0)]
    [InlineData("unix:/run/x.sock?timeout=none", -1, 0)]
    [InlineData("unix:/run/x.sock?timeout=5s&reconnect=1min", 5_000, 60_000)]
    [InlineData("unix:/run/x.sock?reconnect=1min&timeout=5s", 5_000, 60_000)]
    public void A_server_may_be_given_a_time_to_answer(string text, int? timeout, int reconnect)
    {
        DeviceAddress address = DeviceAddress.Parse(text);
        Assert.Equal("/run/x.sock", address.Place);
        Assert.Equal(timeout is int milliseconds ? TimeSpan.FromMilliseconds(milliseconds) : null, address.Timeout);
        Assert.Equal(TimeSpan.FromMilliseconds(reconnect), address.Reconnect);
    }

    [Theory]
    [InlineData("mdev:")]
    [InlineData("mdev:83b8f4f2509f382f3c1ee6bfe0fa1001")]
    [InlineData("unix:/run/x.sock?reconnect=")]
    [InlineData("unix:/run/x.sock?reconnect=5")]
    [InlineData("unix:/run/x.sock?reconnect=s")]
    [InlineData("unix:/run/x.sock?reconnect=-5s")]
    [InlineData("unix:/run/x.sock?reconnect=1.5s")]
    [InlineData("unix:/run/x.sock?reconnect=25h")]
    [InlineData("unix:/run/x.sock?reconnect=86401s")]
    [InlineData("unix:/run/x.sock?reconnect=5s&reconnect=6s")]
    [InlineData("unix:/run/x.sock?timeout=")]
    [InlineData("unix:/run/x.sock?timeout=5")]
    [InlineData("unix:/run/x.sock?timeout=0s")]
    [InlineData("unix:/run/x.sock?timeout=-1s")]
    [InlineData("unix:/run/x.sock?timeout=1441min")]
    [InlineData("unix:/run/x.sock?timeout=Infinite")]
    [InlineData("unix:/run/x.sock?timeout=5s&timeout=6s")]
    [InlineData("unix:/run/x.sock?timeouts=5s")]
    [InlineData("unix:?timeout=5s")]
    [InlineData("unix:?reconnect=5s")]
    [InlineData("unix:")]
    public void Another_text_is_refused(string text) =>
        Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => DeviceAddress.Parse(text)).Errno);

    [Fact]
    public void A_device_opened_with_reconnect_goes_on_with_the_next_server()
    {
        string folder = Directory.CreateTempSubdirectory("vfio-address-").FullName;
        string path = Path.Combine(folder, "s");
        using GuardedFunction edu = new(new EduFunction());
        PciDevice? device = null;
        using ManualResetEventSlim restarted = new();
        try
        {
            Serve(edu, path, () =>
            {
                device = new PciDevice(VfioDevice.Open($"unix:{path}?reconnect=1min"));
                device.Restarted += restarted.Set;
                Assert.Equal(0x0100_00edu, device.OpenBar(0).Read32(0));
            });
            Serve(edu, path, () =>
            {
                Assert.Equal(0x0100_00edu, device!.OpenBar(0).Read32(0));
                Assert.True(restarted.Wait(HangGuard.Timeout));
                device.Dispose();
            });
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Serves while something is done.</summary>
    private static void Serve(GuardedFunction function, string path, Action action)
    {
        using CancellationTokenSource stop = new();
        using VfioUserServer server = new(function.Open, new VfioUserServerOptions { Path = path });
        Thread serving = new(() => server.Run(stop.Token));
        serving.Start();
        try
        {
            action();
        }
        finally
        {
            stop.Cancel();
            serving.Join();
        }
    }
}
