using Vfio.Devices.Edu;
using Vfio.Guard;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Tests.User;
using Vfio.User;

namespace Vfio.Tests.Open;

/// <summary>Opening by an address: how long it may take, and how it is ended.</summary>
public sealed class OpenAsyncTests : IDisposable
{
    private static readonly TimeSpan TestTimeout = TimeSpan.FromSeconds(60);
    private readonly string _folder = Directory.CreateTempSubdirectory("vfio-open-").FullName;
    private readonly List<UnixSocket> _clients = [];
    private readonly UnixListener _listener;
    private readonly string _path;

    public OpenAsyncTests()
    {
        _path = Path.Combine(_folder, "s");
        _listener = UnixListener.Bind(_path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }

    public void Dispose()
    {
        _clients.ForEach(client => client.Dispose());
        _listener.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void A_server_that_says_nothing_is_ETIMEDOUT_and_the_message_says_who_may_have_it()
    {
        VfioException refusal = Assert.Throws<VfioException>(() => VfioDevice.Open($"unix:{_path}?timeout=50ms"));
        Assert.Equal(Errno.TimedOut, refusal.Errno);
        Assert.Contains("another client", refusal.Message, StringComparison.Ordinal);
        Assert.Contains(_path, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_options_say_how_long_where_the_address_does_not()
    {
        VfioDeviceOptions options = new() { Timeout = TimeSpan.FromMilliseconds(50) };
        Assert.Equal(Errno.TimedOut, Assert.Throws<VfioException>(() => VfioDevice.Open($"unix:{_path}", options)).Errno);
        VfioException refusal = await Assert.ThrowsAsync<VfioException>(() => VfioDevice.OpenAsync($"unix:{_path}", options));
        Assert.Equal(Errno.TimedOut, refusal.Errno);
    }

    [Theory]
    [InlineData("unix:/s", 5_000, 0)]
    [InlineData("unix:/s?timeout=1s", 1_000, 0)]
    [InlineData("unix:/s?timeout=infinite", -1, 0)]
    public void What_the_address_says_goes_before_what_the_options_say(string address, int timeout, int _)
    {
        VfioDeviceOptions options = new() { Timeout = TimeSpan.FromSeconds(5) };
        Assert.Equal(TimeSpan.FromMilliseconds(timeout), DeviceSource.ClientOptionsOf(DeviceAddress.Parse(address), options).Timeout);
    }

    [Theory]
    [InlineData("unix:/s", 7_000)]
    [InlineData("unix:/s?reconnect=1s", 1_000)]
    [InlineData("unix:/s?reconnect=0s", 0)]
    public void So_it_is_with_waiting_for_a_server_that_went_away(string address, int reconnect)
    {
        VfioDeviceOptions options = new() { Reconnect = TimeSpan.FromSeconds(7) };
        Assert.Equal(
            TimeSpan.FromMilliseconds(reconnect), DeviceSource.ClientOptionsOf(DeviceAddress.Parse(address), options).ReconnectTimeout);
    }

    [Fact]
    public void Every_wait_has_a_timeout_by_default()
    {
        Assert.Equal(TimeSpan.FromSeconds(30), new VfioUserClientOptions().Timeout);
        Assert.Equal(TimeSpan.FromSeconds(30), new VfioDeviceOptions().Timeout);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-2)]
    public void A_time_that_cannot_be_is_refused_before_anything_is_opened(int milliseconds)
    {
        VfioDeviceOptions options = new() { Timeout = TimeSpan.FromMilliseconds(milliseconds) };
        Assert.Throws<ArgumentOutOfRangeException>(() => VfioDevice.Open("unix:/nowhere/at/all", options));
    }

    [Fact]
    public async Task Cancellation_ends_a_negotiation_that_is_under_way_and_closes_its_connection()
    {
        using CancellationTokenSource cancel = new();
        VfioDeviceOptions options = new() { Timeout = Timeout.InfiniteTimeSpan };
        Task<IVfioDevice> opening = VfioDevice.OpenAsync($"unix:{_path}", options, cancel.Token);
        using RawPeer server = new(_listener.Accept()!);
        Assert.Equal(1, server.Receive().Command);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => opening.WaitAsync(TestTimeout));
        Assert.True(server.IsClosed());
    }

    [Fact]
    public async Task Cancellation_ends_it_between_two_answers_too()
    {
        using CancellationTokenSource cancel = new();
        Task<IVfioDevice> opening = VfioDevice.OpenAsync($"unix:{_path}?timeout=infinite&reconnect=1min", null, cancel.Token);
        using RawPeer server = new(_listener.Accept()!);
        server.Send(RawPeer.Message(server.Receive().Id, 1, 1, HostileServerTests.Good));
        server.Send(RawPeer.Message(server.Receive().Id, 4, 1, 16, 3, 9, 5));
        Assert.Equal(5, server.Receive().Command);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => opening.WaitAsync(TestTimeout));
        Assert.True(server.IsClosed());
    }

    [Fact]
    public async Task Cancellation_ends_a_connect_that_waits_for_room()
    {
        FillBacklog();
        using CancellationTokenSource cancel = new();
        VfioDeviceOptions options = new() { Timeout = Timeout.InfiniteTimeSpan };
        Task<IVfioDevice> opening = VfioDevice.OpenAsync($"unix:{_path}", options, cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => opening.WaitAsync(TestTimeout));
    }

    [Theory]
    [InlineData("unix:/nowhere/at/all")]
    [InlineData("model:edu")]
    [InlineData("0000:ff:1f.7")]
    public async Task What_is_cancelled_beforehand_is_not_opened(string address) => await Assert.ThrowsAnyAsync<OperationCanceledException>(
        () => VfioDevice.OpenAsync(address, null, new CancellationToken(canceled: true)).WaitAsync(TestTimeout));

    [Fact]
    public async Task A_model_is_opened_and_closed_by_await()
    {
        await using IVfioDevice device = await VfioDevice.OpenAsync("model:edu");
        Assert.Equal("model:edu", device.Name);
        byte[] identification = new byte[4];
        device.ReadRegion(RegionIndex.Bar0, 0, identification);
    }

    [Fact]
    public async Task A_served_device_is_opened_and_closed_by_await_and_then_the_next_has_it()
    {
        string path = Path.Combine(_folder, "edu");
        using CancellationTokenSource stop = new();
        using GuardedFunction edu = new(new EduFunction());
        await using VfioUserServer server = new(edu.Open, new VfioUserServerOptions { Path = path });
        Task serving = server.RunAsync(stop.Token);
        for (int i = 0; i < 3; i++)
        {
            using CancellationTokenSource late = new();
            await using (PciDevice device = new(await VfioDevice.OpenAsync($"unix:{path}", null, late.Token)))
            {
                // A token that is cancelled when the device is open has nothing to end.
                await late.CancelAsync();
                Assert.Equal(0x0100_00edu, device.OpenBar(0).Read32(0));
            }
        }

        await stop.CancelAsync();
        await serving.WaitAsync(TestTimeout);
    }

    private void FillBacklog()
    {
        // The kernel's queue has an end; the client after it waits.
        try
        {
            while (_clients.Count < 10_000)
                _clients.Add(UnixSocket.Connect(_path, TimeSpan.FromMilliseconds(20)));
        }
        catch (VfioException full)
        {
            Assert.Equal(Errno.TimedOut, full.Errno);
        }
    }
}
