using System.Diagnostics;
using Vfio.Native;
using Vfio.Native.Sockets;
using static Vfio.Tests.RawClient;

namespace Vfio.Tests.Processes;

/// <summary>Clients that pass a descriptor and then change the state that all its copies share: no thread of the server waits for them, and
/// SIGTERM ends it in the middle.</summary>
public sealed class HostileDescriptorTests
{
    // VFIO_IRQ_SET_DATA_EVENTFD 4, DATA_NONE 1; ACTION_MASK 8, UNMASK 0x10, TRIGGER 0x20.
    private const uint BindTrigger = 0x24, Trigger = 0x21, BindMask = 0xc, BindUnmask = 0x14;
    private const uint Intx = 0, Msi = 1;
    private const int EPERM = 1;
    private const ulong Page = 4096;

    [Fact]
    public void A_trigger_that_is_filled_blocks_no_session()
    {
        using ServerProcess server = new();
        AttackTrigger(server.SocketPath);
        AssertEnds(server);
    }

    [Fact]
    public void A_trigger_that_is_filled_behind_a_proxy_holds_neither_server_up()
    {
        using ServerProcess inner = new();
        using ServerProcess outer = ServerProcess.Of("unix:" + inner.SocketPath);
        AttackTrigger(outer.SocketPath);
        AssertEnds(outer);
        AssertEnds(inner);
    }

    [Fact]
    public void One_eventfd_that_masks_and_unmasks_blocks_no_session()
    {
        using ServerProcess server = new();
        using RawClient client = new(server.SocketPath);
        using EventFd both = EventFd.Create(), pin = EventFd.Create();
        client.Negotiate();
        Assert.Equal(0, client.Ask(SetIrqs, IrqBody(BindTrigger, Intx, 0, 1), pin.Descriptor));
        Assert.Equal(0, client.Ask(SetIrqs, IrqBody(BindMask, Intx, 0, 1), both.Descriptor));
        Assert.Equal(0, client.Ask(SetIrqs, IrqBody(BindUnmask, Intx, 0, 1), both.Descriptor));
        HeldEvent.Block(both.Descriptor);
        HeldEvent.Tease(both.Descriptor, 5000);
        both.Signal();
        Assert.Equal(0, client.Ask(DeviceReset, []));
        AssertEnds(server);
    }

    [Fact]
    public void A_trigger_that_goes_along_to_a_successor_holds_that_up_no_more()
    {
        string folder = Directory.CreateTempSubdirectory("vfio-test-").FullName;
        string socket = Path.Combine(folder, "s"), place = Path.Combine(folder, "next");
        using (ServerProcess first = ServerProcess.At([], "model:edu", "--socket", socket, "--handover", place))
        using (RawClient client = new(socket))
        using (EventFd shared = EventFd.Create())
        {
            client.Negotiate();
            Assert.Equal(0, client.Ask(SetIrqs, IrqBody(BindTrigger, Msi, 0, 1), shared.Descriptor));
            using ServerProcess second = ServerProcess.At([], "model:edu", "--take-over", place, "--handover", place);
            first.WaitForExit();
            HeldEvent.Block(shared.Descriptor);
            HeldEvent.Fill(shared.Descriptor);
            Assert.Equal(0, client.Ask(SetIrqs, IrqBody(Trigger, Msi, 0, 1)));
            AssertEnds(second);
        }

        Directory.Delete(folder, recursive: true);
    }

    [Theory]
    [InlineData("flush")]
    [InlineData(null)]
    public void A_file_whose_accesses_wait_for_their_owner_is_refused_and_closing_it_blocks_no_session(string? flush)
    {
        // In this order: a process that has a file open that cannot be closed does not end before the file system does.
        using ServerProcess server = new();
        using StallingFile file = new(flush);
        using RawClient client = new(server.SocketPath);
        client.Negotiate();
        Assert.Equal(EPERM, client.Ask(DmaMap, MapBody(0, 0, Page), file.Descriptor));

        // A descriptor with a message that takes none is closed too.
        Assert.Equal(0, client.Ask(GetInfo, [.. Bytes(16u), .. new byte[12]], file.Descriptor));
        Assert.NotEqual(0, client.Ask(SetIrqs, IrqBody(BindTrigger, Msi, 0, 1), file.Descriptor));
        Assert.Equal(0, client.Ask(DeviceReset, []));
        if (flush is not null)
            AssertEnds(server);
    }

    [Fact]
    public void Files_that_do_not_close_use_up_no_servers_descriptors()
    {
        using ServerProcess server = new();
        using StallingFile file = new(flush: null);
        using RawClient client = new(server.SocketPath);
        client.Negotiate();
        int asked = 0;
        while (asked < 1000 && client.Ask(GetInfo, [.. Bytes(16u), .. new byte[12]], file.Descriptor) is not null)
            asked++;
        Assert.InRange(asked, 1, 200);

        // Who sends no files is served.
        using RawClient next = new(server.SocketPath);
        next.Negotiate();
        Assert.Equal(0, next.Ask(GetInfo, [.. Bytes(16u), .. new byte[12]]));
    }

    [Fact]
    public void A_file_whose_accesses_wait_is_taken_where_the_owner_allows_it()
    {
        using ServerProcess server = ServerProcess.Of("model:edu", "--allow-stalling-files");
        using StallingFile file = new("flush");
        using RawClient client = new(server.SocketPath);
        client.Negotiate();
        Assert.Equal(0, client.Ask(DmaMap, MapBody(0, 0, Page), file.Descriptor));
    }

    [Fact]
    public void A_log_without_a_reader_blocks_no_session()
    {
        using ServerProcess server = ServerProcess.Unread("--verbose");
        using RawClient client = new(server.SocketPath);
        client.Negotiate();
        for (int i = 0; i < 20_000; i++)
            Assert.NotEqual(0, client.Ask(DmaUnmap, UnmapBody(0x1001, 0x1000)));
        AssertEnds(server);
    }

    [Theory]
    [InlineData("HUP")]
    [InlineData("QUIT")]
    [InlineData("INT")]
    public void Every_signal_that_asks_for_an_end_gets_a_clean_one(string signal)
    {
        // A shell that starts the tests in its background leaves these signals ignored.
        using ServerProcess server = ServerProcess.Under(["env", "--default-signal=INT,QUIT,HUP"]);
        using RawClient client = new(server.SocketPath);
        client.Negotiate();
        server.Terminate(signal);
        Assert.Equal(0, server.ExitCode);
        Assert.False(Path.Exists(server.SocketPath));
    }

    [Fact]
    public void Half_a_message_and_replies_that_are_not_read_do_not_keep_a_server()
    {
        using ServerProcess server = ServerProcess.Of("model:edu", "--client-timeout", "3600");
        using RawClient client = new(server.SocketPath);
        client.Negotiate();
        byte[] read = Message(RegionRead, AccessBody(0, 7, 256));
        while (client.SendSome(read) == read.Length)
        {
        }

        AssertEnds(server);
    }

    [Fact]
    public void Who_asks_to_take_over_and_then_says_nothing_does_not_keep_a_server()
    {
        string folder = Directory.CreateTempSubdirectory("vfio-test-").FullName;
        string socket = Path.Combine(folder, "s"), place = Path.Combine(folder, "next");
        using (ServerProcess server = ServerProcess.At([], "model:edu", "--socket", socket, "--handover", place))
        using (RawClient client = new(socket))
        using (UnixSocket asking = UnixSocket.Connect(place))
        {
            client.Negotiate();

            // "vfio-hnd", version 2, Ask, nothing more; the server then gives all and waits for an answer.
            asking.Send([.. "vfio-hnd"u8, .. Bytes(2u), .. Bytes(1u), .. Bytes(0u), .. Bytes(0u)], wait: true, out _);
            Assert.True(HangGuard.WaitReadable(asking.Descriptor), "nothing is given");
            AssertEnds(server);
            Assert.False(Path.Exists(place));
        }

        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public void A_server_behind_a_proxy_that_answers_nothing_does_not_keep_the_proxy()
    {
        using ServerProcess inner = new();
        using ServerProcess outer = ServerProcess.Of("unix:" + inner.SocketPath);
        using RawClient client = new(outer.SocketPath);
        client.Negotiate();
        using (Process stop = Process.Start("kill", ["-STOP", $"{inner.Id}"]))
            stop.WaitForExit();
        client.Send(Message(RegionRead, AccessBody(0, 7, 4)));
        outer.Terminate();
        Assert.False(Path.Exists(outer.SocketPath));
    }

    [Fact]
    public void A_server_that_was_killed_leaves_no_files_but_its_socket()
    {
        string folder = Directory.CreateTempSubdirectory("vfio-test-").FullName;
        using (ServerProcess server = ServerProcess.Under(["env", $"TMPDIR={folder}"]))
            server.Kill();
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder));
        Directory.Delete(folder);
    }

    private static void AttackTrigger(string socket)
    {
        using RawClient client = new(socket);
        using EventFd shared = EventFd.Create();
        client.Negotiate();
        Assert.Equal(0, client.Ask(SetIrqs, IrqBody(BindTrigger, Msi, 0, 1), shared.Descriptor));
        HeldEvent.Block(shared.Descriptor);
        for (int i = 0; i < 3; i++)
        {
            HeldEvent.Fill(shared.Descriptor);
            Assert.Equal(0, client.Ask(SetIrqs, IrqBody(Trigger, Msi, 0, 1)));
        }
    }

    private static void AssertEnds(ServerProcess server)
    {
        server.Terminate();
        Assert.Equal(0, server.ExitCode);
        Assert.False(Path.Exists(server.SocketPath));
    }
}
