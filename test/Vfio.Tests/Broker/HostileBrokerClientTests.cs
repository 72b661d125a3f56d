using System.Text;
using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.User.Leases;

namespace Vfio.Tests.Broker;

/// <summary>Processes that do at a broker's socket what no client should. Each is refused or dropped, and keeps nobody waiting.</summary>
public sealed class HostileBrokerClientTests
{
    private const uint Mallory = 61003;
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;

    [Theory]
    [InlineData("\n")]
    [InlineData("hello\n")]
    [InlineData("{}\n")]
    [InlineData("[]\n")]
    [InlineData("null\n")]
    [InlineData("{\"do\":\"open\"}\n")]
    [InlineData("{\"do\":\"open\",\"name\":\"\"}\n")]
    [InlineData("{\"do\":\"open\",\"name\":7}\n")]
    [InlineData("{\"do\":\"open\",\"name\":\"edu0\",\"uid\":0}\n")]
    [InlineData("{\"do\":\"open\",\"name\":\"edu0\",\"lease\":1}\n")]
    [InlineData("{\"do\":\"revoke\",\"lease\":99999999999}\n")]
    [InlineData("{\"do\":\"revoke\"}\n")]
    [InlineData("{\"do\":\"leases\",\"after\":-1,\"now\":true}\n")]
    [InlineData("{\"do\":\"shutdown\"}\n")]
    [InlineData("{\"do\":\"leases\"}\n{\"do\":\"leases\"}\n")]
    [InlineData("{\"do\":\"open\",\"name\":\"edu0\"}\n{\"do\":\"open\",\"name\":\"edu1\"}\n")]
    public void What_is_no_request_is_refused(string text)
    {
        using BrokerRig rig = new(BrokerRig.All);
        using UnixSocket socket = UnixSocket.Connect(rig.SocketPath);
        Send(socket, Encoding.UTF8.GetBytes(text));
        string reply = ReceiveLine(socket);
        Assert.Contains("\"errno\":", reply, StringComparison.Ordinal);
        rig.WaitUntilFree();
        AssertServes(rig);
    }

    [Fact]
    public void A_name_that_is_no_name_is_on_record_in_one_line_and_harmless()
    {
        using BrokerRig rig = new(BrokerRig.All);
        using BrokerClient client = rig.Connect();
        string[] names = ["../../etc/passwd", "edu0\n{\"event\":\"forged\"}", "\u001b[2Jedu0", "edu0\0", new string('x', 3000), "model:edu", "unix:/run/x", "\u202eude"];
        foreach (string name in names)
        {
            VfioException refusal = Assert.Throws<VfioException>(() => BrokerRig.Hold(client, name));
            Assert.Equal(Errno.NoEntry, refusal.Errno);
            Assert.DoesNotContain('\u001b', refusal.Message);
        }

        Assert.Equal(names.Length, rig.Audit().Count(line => line.GetProperty("event").GetString() == "hold"));
        Assert.DoesNotContain(rig.Audit(), line => line.GetProperty("event").GetString() == "forged");
    }

    [Fact]
    public void Refusals_without_end_do_not_fill_the_audit()
    {
        using BrokerRig rig = new(BrokerRig.All);
        using BrokerClient client = rig.Connect();
        for (int i = 0; i < 1000; i++)
            Assert.Throws<VfioException>(() => BrokerRig.Hold(client, "none"));
        int lines = rig.Audit().Count(line => line.GetProperty("event").GetString() == "hold");

        // A hundred at once, and one a second: this took no ten minutes.
        Assert.InRange(lines, 100, 700);
        Assert.Contains(rig.Audit(), line => line.GetProperty("event").GetString() == "silence");
        AssertServes(rig);
    }

    [Fact]
    public void A_line_without_an_end_is_dropped_at_its_limit()
    {
        using BrokerRig rig = new(BrokerRig.All);
        using UnixSocket socket = UnixSocket.Connect(rig.SocketPath);
        Send(socket, new byte[4096]);
        Assert.Contains("\"errno\":71", ReceiveLine(socket), StringComparison.Ordinal);
        Assert.True(HangGuard.WaitReadable(socket.Descriptor));
        AssertServes(rig);
    }

    [Fact]
    public void Who_is_silent_or_stops_in_the_middle_is_dropped_in_time()
    {
        using BrokerRig rig = new(BrokerRig.All, requestTimeout: TimeSpan.FromMilliseconds(200));
        using UnixSocket silent = UnixSocket.Connect(rig.SocketPath), half = UnixSocket.Connect(rig.SocketPath);
        Send(half, "{\"do\":"u8.ToArray());
        foreach (UnixSocket socket in new[] { silent, half })
            Assert.True(SpinWait.SpinUntil(() => Poll.IsHungUp(socket.Descriptor), TestTimeout), "it is not dropped");

        // A holder says nothing for as long as it likes.
        using BrokerClient holder = rig.Connect();
        BrokerRig.Hold(holder, "edu0");
        Assert.Null(holder.WaitForEvent(TimeSpan.FromMilliseconds(600)));
        Assert.Equal(1, rig.Broker.LeaseCount);
    }

    [Fact]
    public void Descriptors_that_nobody_asked_for_are_closed()
    {
        using BrokerRig rig = new(BrokerRig.All);
        using UnixSocket socket = UnixSocket.Connect(rig.SocketPath);
        const string Name = "unwanted-by-the-broker";
        using FileDescriptor memory = MemoryFile.Create(Name, 4096);
        FileDescriptor[] many = [.. Enumerable.Repeat(memory, UnixSocket.MaxDescriptors)];
        for (int i = 0; i < 10; i++)
        {
            Assert.Equal(16, socket.Send("{\"do\":\"leases\"}\n"u8, default, many, wait: true, out _));
            Assert.Contains("leases", ReceiveLine(socket), StringComparison.Ordinal);
        }

        // One is the test's own.
        Assert.True(SpinWait.SpinUntil(() => User.OpenDescriptors.OfMemoryFile(Name) == 1, TestTimeout), "descriptors stay open");
    }

    [Fact]
    public void Who_asks_and_never_reads_gets_nothing_more()
    {
        using BrokerRig rig = new(BrokerRig.All);
        using UnixSocket socket = UnixSocket.Connect(rig.SocketPath);
        Assert.True(SpinWait.SpinUntil(
            () => socket.Send("{\"do\":\"leases\"}\n"u8, wait: false, out Errno error) < 0 && error != Errno.TryAgain, TestTimeout), "it is not dropped");
        AssertServes(rig);
    }

    [Fact]
    public void Who_leaves_while_the_device_is_opened_leaves_nothing_behind()
    {
        using BrokerRig rig = new(BrokerRig.All);
        for (int i = 0; i < 50; i++)
        {
            using UnixSocket socket = UnixSocket.Connect(rig.SocketPath);
            Send(socket, i % 2 == 0 ? "{\"do\":\"open\",\"name\":\"edu0\"}\n"u8 : "{\"do\":\"hold\",\"name\":\"edu0\"}\n"u8);
        }

        // Some are still being read when others have ended: in the end all have. This is the same user, who can open what a lease still holds
        // that ends in this moment.
        Assert.True(SpinWait.SpinUntil(
            () =>
            {
                try
                {
                    AssertServes(rig);
                    return true;
                }
                catch (VfioException refusal) when (refusal.Errno is Errno.Busy or Errno.ConnectionReset)
                {
                    return false;
                }
            },
            TestTimeout));
        rig.WaitUntilFree();
    }

    [Fact]
    public void Who_takes_the_device_and_never_negotiates_does_not_keep_it()
    {
        using BrokerRig rig = new(BrokerRig.All, requestTimeout: TimeSpan.FromMilliseconds(200));
        using UnixSocket socket = UnixSocket.Connect(rig.SocketPath);
        Send(socket, "{\"do\":\"open\",\"name\":\"edu0\"}\n"u8);
        Assert.Contains("\"device\":\"edu0\"", ReceiveLine(socket, out UnixSocket? device), StringComparison.Ordinal);
        using (device)
            rig.WaitUntilFree();
        Assert.Contains("silent", rig.Audited("end").GetProperty("reason").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public void One_users_connections_do_not_keep_others_out()
    {
        OtherUser.Need();
        using BrokerRig rig = new(BrokerRig.All);
        List<UnixSocket> sockets = [];
        try
        {
            // The most that one user may have, and one more.
            for (int i = 0; i < 256; i++)
                sockets.Add(OtherUser.Connect(rig.SocketPath, Mallory));
            using UnixSocket last = OtherUser.Connect(rig.SocketPath, Mallory);
            Assert.Contains("too many connections", ReceiveLine(last), StringComparison.Ordinal);
            AssertServes(rig);
        }
        finally
        {
            sockets.ForEach(socket => socket.Dispose());
        }
    }

    [Fact]
    public void A_broker_that_sends_what_is_no_connection_is_found_out()
    {
        (UnixSocket server, UnixSocket client) = UnixSocket.CreatePair();
        using (server)
        using (BrokerClient broker = BrokerClient.Over(client, "a broker", TestTimeout))
        using (FileDescriptor memory = MemoryFile.Create("no connection", 4096))
        {
            Assert.True(server.Send("{\"lease\":{\"id\":1,\"device\":\"edu0\"}}\n"u8, default, [memory], wait: true, out _) > 0);
            VfioException refusal = Assert.Throws<VfioException>(() => broker.Open("edu0", new Vfio.User.VfioUserClientOptions()));
            Assert.Contains("no connection", refusal.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_link_at_the_sockets_place_is_not_followed()
    {
        string folder = BrokerRig.MakeFolder();
        try
        {
            string victim = Path.Combine(folder, "victim"), place = Path.Combine(folder, "s"), policy = Path.Combine(folder, "policy.json");
            File.WriteAllText(victim, "data");
            File.WriteAllText(policy, "{ \"devices\": {}, \"rules\": [] }");
            File.CreateSymbolicLink(place, victim);
            VfioException refusal = Assert.Throws<VfioException>(() => new Vfio.Broker.DeviceBroker(
                new() { PolicyPath = policy, SocketPath = place, AuditPath = Path.Combine(folder, "audit") }));
            Assert.Equal(Errno.AddressInUse, refusal.Errno);
            Assert.Equal("data", File.ReadAllText(victim));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void AssertServes(BrokerRig rig)
    {
        using PciDevice edu = rig.Open("edu0");
        Assert.Equal(0x0100_00edu, edu.OpenBar(0).Read32(0));
    }

    private static void Send(UnixSocket socket, ReadOnlySpan<byte> bytes) => Assert.Equal(bytes.Length, socket.Send(bytes, wait: true, out _));

    private static string ReceiveLine(UnixSocket socket)
    {
        string line = ReceiveLine(socket, out UnixSocket? unwanted);
        unwanted?.Dispose();
        return line;
    }

    private static string ReceiveLine(UnixSocket socket, out UnixSocket? connection)
    {
        using DescriptorQueue descriptors = new();
        List<byte> line = [];
        byte[] one = new byte[1];
        while (one[0] != '\n')
        {
            Assert.True(HangGuard.WaitReadable(socket.Descriptor), "no answer");
            Assert.Equal(1, socket.Receive(one, descriptors, wait: true, out _));
            line.Add(one[0]);
        }

        connection = descriptors.Take() is { } descriptor ? new UnixSocket(descriptor) : null;
        return Encoding.UTF8.GetString([.. line]);
    }
}
