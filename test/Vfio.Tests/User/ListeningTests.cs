using System.Runtime.Versioning;
using Vfio.Native;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>A server at a path or a passed socket, from its start to its end.</summary>
public sealed class ListeningTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("vfio-user-").FullName;
    private readonly CancellationTokenSource _stop = new();

    private string SocketPath => Path.Combine(_directory, "x.sock");

    [Fact]
    public async Task Clients_are_served_one_after_the_other_until_it_is_cancelled()
    {
        using VfioUserServer server = new(() => new FakeDevice(), new VfioUserServerOptions { Path = SocketPath });
        Task run = server.RunAsync(_stop.Token);
        for (int i = 0; i < 3; i++)
        {
            using VfioUserClient client = VfioUserClient.Connect(SocketPath);
            Assert.Equal($"unix:{SocketPath}", client.Name);
            Assert.Equal(9, client.Info.RegionCount);
        }

        await StopAsync(run);
        Assert.True(run.IsCompletedSuccessfully);
    }

    [Fact]
    public async Task A_second_client_waits_for_the_first()
    {
        using VfioUserServer server = new(() => new FakeDevice(), new VfioUserServerOptions { Path = SocketPath });
        Task run = server.RunAsync(_stop.Token);
        VfioUserClient first = VfioUserClient.Connect(SocketPath);
        Task<VfioUserClient> second = Task.Factory.StartNew(
            () => VfioUserClient.Connect(SocketPath), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        first.Reset();
        Assert.False(second.IsCompleted);
        first.Dispose();
        (await second.WaitAsync(HangGuard.Timeout)).Dispose();
        await StopAsync(run);
    }

    [Fact]
    public async Task It_stops_in_the_middle_of_a_session()
    {
        using VfioUserServer server = new(() => new FakeDevice(), new VfioUserServerOptions { Path = SocketPath });
        Task run = server.RunAsync(_stop.Token);
        using VfioUserClient client = VfioUserClient.Connect(SocketPath);
        await StopAsync(run);
        Assert.Equal(Errno.ConnectionReset, Assert.Throws<VfioException>(client.Reset).Errno);
    }

    [Fact]
    [SupportedOSPlatform("linux")]
    public void The_owner_and_the_group_may_connect()
    {
        using VfioUserServer server = new(() => new FakeDevice(), new VfioUserServerOptions { Path = SocketPath });
        Assert.Equal(Convert.ToInt32("660", 8), (int)File.GetUnixFileMode(SocketPath));
    }

    [Fact]
    public void A_stale_socket_is_replaced_and_a_living_one_is_not()
    {
        UnixListener dead = UnixListener.Bind(SocketPath, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        dead.Descriptor.Dispose();
        using VfioUserServer server = new(() => new FakeDevice(), new VfioUserServerOptions { Path = SocketPath });
        VfioException refusal = Assert.Throws<VfioException>(
            () => new VfioUserServer(() => new FakeDevice(), new VfioUserServerOptions { Path = SocketPath }));
        Assert.Equal(Errno.AddressInUse, refusal.Errno);
    }

    [Fact]
    public void The_socket_is_gone_when_the_server_is()
    {
        new VfioUserServer(() => new FakeDevice(), new VfioUserServerOptions { Path = SocketPath }).Dispose();
        Assert.False(Path.Exists(SocketPath));
    }

    [Fact]
    public async Task A_passed_socket_is_served_and_still_listens_afterwards()
    {
        using UnixListener listener = UnixListener.Bind(SocketPath, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        using (VfioUserServer server = new(
            () => new FakeDevice(), new VfioUserServerOptions { Listener = listener.Descriptor.Duplicate() }))
        {
            Task run = server.RunAsync(_stop.Token);
            VfioUserClient.Connect(SocketPath).Dispose();
            await StopAsync(run);
        }

        UnixSocket.Connect(SocketPath).Dispose();
    }

    [Fact]
    public void A_passed_socket_that_does_not_listen_is_an_error()
    {
        (UnixSocket one, UnixSocket other) = UnixSocket.CreatePair();
        VfioUserServerOptions options = new() { Listener = one.Descriptor.Duplicate() };
        other.Dispose();
        Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => new VfioUserServer(() => new FakeDevice(), options)).Errno);
        Assert.True(options.Listener.IsClosed);
        one.Dispose();
    }

    [Fact]
    public void Options_out_of_their_range_are_the_callers_bug()
    {
        Assert.Throws<ArgumentOutOfRangeException>(
            () => new VfioUserServer(() => new FakeDevice(), new VfioUserServerOptions { MaxDataTransferBytes = (1 << 20) + 1 }));
        Assert.Throws<ArgumentOutOfRangeException>(
            () => new VfioUserServer(() => new FakeDevice(), new VfioUserServerOptions { MaxDmaMaps = 65536 }));
        using VfioUserServer nowhere = new(() => new FakeDevice(), new VfioUserServerOptions());
        Assert.Throws<InvalidOperationException>(() => nowhere.Run(_stop.Token));
    }

    public void Dispose()
    {
        _stop.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    private async Task StopAsync(Task run)
    {
        await _stop.CancelAsync();
        await run.WaitAsync(HangGuard.Timeout);
    }
}
