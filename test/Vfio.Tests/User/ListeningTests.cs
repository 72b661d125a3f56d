using System.Diagnostics;
using Vfio.Native;
using Vfio.Native.Files;
using Vfio.Native.Interop;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>A server at a path or a passed socket, from its start to its end.</summary>
public sealed class ListeningTests : IDisposable
{
    private const UnixFileMode Own = UnixFileMode.UserRead | UnixFileMode.UserWrite;
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
    public void Of_many_servers_that_find_a_stale_socket_at_once_one_listens_and_its_socket_stays()
    {
        for (int round = 0; round < 20; round++)
        {
            UnixListener.Bind(SocketPath, Own).Descriptor.Dispose();
            using Barrier start = new(4);
            List<UnixListener> listening = [];
            Thread[] threads = [.. Enumerable.Range(0, 4).Select(_ => new Thread(() =>
            {
                start.SignalAndWait();
                try
                {
                    UnixListener listener = UnixListener.Bind(SocketPath, Own);
                    lock (listening)
                        listening.Add(listener);
                }
                catch (VfioException refusal) when (refusal.Errno == Errno.AddressInUse)
                {
                    // Another came first.
                }
            }))];
            Array.ForEach(threads, thread => thread.Start());
            Array.ForEach(threads, thread => thread.Join());
            using UnixListener one = Assert.Single(listening);
            UnixSocket.Connect(SocketPath).Dispose();
            Assert.True(Poll.IsReady(one.Descriptor, forWriting: false));
        }

        Assert.Empty(Directory.EnumerateFileSystemEntries(_directory));
    }

    [Fact]
    public void A_server_that_ends_leaves_the_socket_of_another()
    {
        UnixListener first = UnixListener.Bind(SocketPath, Own);
        File.Delete(SocketPath);
        using UnixListener second = UnixListener.Bind(SocketPath, Own);
        first.Dispose();
        UnixSocket.Connect(SocketPath).Dispose();
    }

    [Theory]
    [InlineData("directory", "directory")]
    [InlineData("file", "file")]
    [InlineData("fifo", "FIFO")]
    [InlineData("dangling", "symbolic link")]
    [InlineData("link", "symbolic link")]
    public void What_is_in_the_way_is_named_and_left_alone(string kind, string word)
    {
        string target = Path.Combine(_directory, "target");
        switch (kind)
        {
            case "directory":
                Directory.CreateDirectory(SocketPath);
                break;
            case "file":
                File.WriteAllText(SocketPath, "data");
                break;
            case "fifo":
                using (Process make = Process.Start("mkfifo", [SocketPath]))
                    make.WaitForExit();
                break;
            default:
                if (kind == "link")
                    File.WriteAllText(target, "data");
                File.CreateSymbolicLink(SocketPath, target);
                break;
        }

        VfioException refusal = Assert.Throws<VfioException>(() => UnixListener.Bind(SocketPath, Own));
        Assert.Equal(Errno.AddressInUse, refusal.Errno);
        Assert.Contains(word, refusal.Message, StringComparison.Ordinal);
        Assert.True(Path.Exists(SocketPath) || new FileInfo(SocketPath).LinkTarget == target);
    }

    [Fact]
    public void A_directory_that_is_not_there_is_ENOENT()
    {
        VfioException refusal = Assert.Throws<VfioException>(() => UnixListener.Bind(Path.Combine(_directory, "no", "s"), Own));
        Assert.Equal(Errno.NoEntry, refusal.Errno);
    }

    [Fact]
    public void A_process_that_keeps_the_directory_locked_blocks_no_listener_at_a_free_path()
    {
        using FileDescriptor directory = new(LibC.open(_directory, LibC.O_RDONLY | LibC.O_CLOEXEC));
        Assert.Equal(0, LibC.flock(directory.Number, LibC.LOCK_EX));
        UnixListener.Bind(SocketPath, Own).Descriptor.Dispose();
        Assert.Equal(Errno.Busy, Assert.Throws<VfioException>(() => UnixListener.Bind(SocketPath, Own)).Errno);
    }

    [Fact]
    public async Task Root_changes_the_owner_of_a_socket_and_of_no_other_file_whatever_the_directorys_owner_does()
    {
        Assert.SkipUnless(UserAccount.IsRoot, "only root gives files away");
        UserAccount nobody = UserAccount.Find("nobody");
        string precious = Path.Combine(_directory, "precious");
        await File.WriteAllTextAsync(precious, "root's", TestContext.Current.CancellationToken);
        File.SetUnixFileMode(precious, Own);
        string theirs = Path.Combine(_directory, "theirs");
        Directory.CreateDirectory(theirs);
        nobody.TakeOwnership(theirs);

        // As fast as it can, whatever appears there gets a link to the precious file put in its place.
        using CancellationTokenSource end = new();
        Task swapper = Task.Factory.StartNew(() => SwapAll(theirs, precious, end.Token), TaskCreationOptions.LongRunning);
        for (int i = 0; i < 200; i++)
        {
            try
            {
                using UnixListener listener = UnixListener.Bind(
                    Path.Combine(theirs, $"s{i}"), Own | UnixFileMode.OtherRead | UnixFileMode.OtherWrite, nobody);
            }
            catch (VfioException)
            {
                // Its owner can spoil the directory, and no more.
            }
        }

        await end.CancelAsync();
        await swapper;
        (uint owner, uint mode) = OwnerAndMode(precious);
        Assert.Equal((0u, (uint)Own), (owner, mode));
    }

    [Fact]
    public void Root_follows_no_link_that_another_user_put_on_the_way()
    {
        Assert.SkipUnless(UserAccount.IsRoot, "only root is led astray");
        string real = Path.Combine(_directory, "real"), link = Path.Combine(_directory, "link");
        Directory.CreateDirectory(real);
        Directory.CreateSymbolicLink(link, real);
        UnixListener.Bind(Path.Combine(link, "s"), Own).Dispose();
        UserAccount.Find("nobody").TakeOwnership(link);
        Assert.Equal((Errno)40, Assert.Throws<VfioException>(() => UnixListener.Bind(Path.Combine(link, "s"), Own)).Errno);
    }

    [Fact]
    public async Task A_client_that_does_not_use_the_device_is_disconnected_for_others_however_many_messages_it_sends()
    {
        using VfioUserServer server = new(
            () => new FakeDevice(), new VfioUserServerOptions { Path = SocketPath, ContendedIdleTimeout = TimeSpan.FromMilliseconds(200) });
        Task run = server.RunAsync(_stop.Token);
        using VfioUserClient talking = VfioUserClient.Connect(SocketPath);
        Task<VfioUserClient> waiting = ConnectLater();
        while (!waiting.IsCompleted)
        {
            try
            {
                talking.Reset();
            }
            catch (VfioException)
            {
                break;
            }
        }

        (await waiting.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken)).Dispose();
        await StopAsync(run);
    }

    [Fact]
    public async Task A_client_with_memory_mapped_is_never_sent_away_for_others()
    {
        using VfioUserServer server = new(
            () => new FakeDevice(), new VfioUserServerOptions { Path = SocketPath, ContendedIdleTimeout = TimeSpan.FromMilliseconds(1) });
        Task run = server.RunAsync(_stop.Token);
        using SharedMemory memory = SharedMemory.Create("guest", 0x1000);
        SharedDmaMemory dma = new(memory);
        using (VfioUserClient user = VfioUserClient.Connect(SocketPath))
        {
            user.MapDma(new DmaMapping(new Iova(0x1000), 0x1000, DmaAccess.ReadWrite, dma, 0));
            Task<VfioUserClient> waiting = ConnectLater();

            // Longer than the limit, and a client waits for all of it.
            for (int i = 0; i < 100; i++)
            {
                Thread.Sleep(1);
                user.Reset();
            }

            Assert.False(waiting.IsCompleted);
            user.Dispose();
            (await waiting.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken)).Dispose();
        }

        await StopAsync(run);
    }

    [Fact]
    public async Task Several_clients_are_served_at_a_time_each_with_a_device_of_its_own()
    {
        using VfioUserServer server = new(() => new FakeDevice(), new VfioUserServerOptions { Path = SocketPath, MaxClients = 2 });
        Task run = server.RunAsync(_stop.Token);
        VfioUserClient first = VfioUserClient.Connect(SocketPath);
        using VfioUserClient second = VfioUserClient.Connect(SocketPath);
        first.Reset();
        second.Reset();
        Task<VfioUserClient> third = ConnectLater();
        first.Reset();
        Assert.False(third.IsCompleted);
        first.Dispose();
        using VfioUserClient served = await third.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        second.Reset();
        served.Reset();
        await StopAsync(run);
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

    private Task<VfioUserClient> ConnectLater() => Task.Factory.StartNew(
        () => VfioUserClient.Connect(SocketPath), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private static (uint Owner, uint Mode) OwnerAndMode(string path)
    {
        using FileDescriptor file = new(LibC.open(path, LibC.O_RDONLY | LibC.O_CLOEXEC));
        FileStatus status = FileStatus.Of(file.Number);
        return (status.UserId, status.Mode & 0xfff);
    }

    private static void SwapAll(string folder, string target, CancellationToken end)
    {
        while (!end.IsCancellationRequested)
        {
            foreach (string entry in Directory.EnumerateFileSystemEntries(folder))
            {
                try
                {
                    string aside = Path.Combine(folder, "aside");
                    if (entry == aside || new FileInfo(entry).LinkTarget is not null)
                        continue;
                    Directory.Move(entry, aside);
                    File.CreateSymbolicLink(entry, target);
                    File.Delete(entry);
                    if (Directory.Exists(aside))
                        Directory.Delete(aside, recursive: true);
                    else
                        File.Delete(aside);
                }
                catch (IOException)
                {
                    // It was gone, or another is there.
                }
            }
        }
    }

    private async Task StopAsync(Task run)
    {
        await _stop.CancelAsync();
        await run.WaitAsync(HangGuard.Timeout);
    }
}
