using Vfio.Devices.Bench;
using Vfio.Guard;
using Vfio.Native;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>Clients that hold their own session up do not hold up others of the same process, and cannot make it keep much.</summary>
public sealed class OtherSessionsTests
{
    // Nothing here ends by a timeout: who is stuck stays stuck until the test is over.
    private static readonly TimeSpan Never = TimeSpan.FromHours(1);
    private static readonly VfioUserServerOptions Patient = new()
    {
        HandshakeTimeout = Never,
        MessageTimeout = Never,
        SendTimeout = Never,
        DmaTimeout = Never,
    };

    [Fact]
    public void Others_are_served_while_clients_are_silent_slow_or_deaf()
    {
        using TestServer stuck = new(options: Patient);
        using ClientOfServer waiting = new(new BenchFunction(), Patient);
        using ClientOfServer other = new(new BenchFunction(), Patient);
        using RawPeer silent = stuck.ConnectRaw(negotiate: false);
        using RawPeer slow = stuck.ConnectRaw();
        slow.Send(RawPeer.Message(1, 9, 0, 0ul, 0, 4).AsSpan(0, 20));
        using RawPeer deaf = stuck.ConnectRaw();
        byte[] read = RawPeer.Message(1, 9, 0, 0ul, 2, 1 << 20);
        deaf.Send(read);
        Assert.True(HangGuard.WaitReadable(deaf.Socket.Descriptor));

        // Its device waits for memory that this client never sends.
        using RawPeer owing = waiting.ConnectRaw();
        _ = owing.Ask(10, [4ul, 7, 2, (ushort)6]).Success;
        _ = owing.Ask(2, [32, 3, 0ul, 0x1000ul, 0x1000ul]).Success;
        _ = owing.Ask(10, [0x18ul, 0, 16, 0x1000ul, 64ul]).Success;
        owing.Send(RawPeer.Message(9, 10, 0, 0x28ul, 0, 4, 4));
        Assert.Equal(11, owing.Receive().Command);

        using (VfioUserClient client = other.Connect())
        {
            byte[] four = new byte[4];
            for (int i = 0; i < 1000; i++)
                client.ReadRegion(RegionIndex.Bar0, 0, four);
        }

        // And each of them may still continue.
        slow.Send(RawPeer.Message(1, 9, 0, 0ul, 0, 4).AsSpan(20));
        Assert.Equal(0u, slow.Receive().Error);
        silent.Negotiate();
    }

    [Fact]
    public void A_deaf_client_is_kept_no_more_than_a_few_messages_for()
    {
        using TestServer server = new(options: new VfioUserServerOptions { SendTimeout = TimeSpan.FromSeconds(1) });
        using RawPeer deaf = server.ConnectRaw();
        byte[] write = RawPeer.Message(1, 10, 0, 0ul, 0, 32, new byte[32]);
        byte[] many = [.. Enumerable.Repeat(write, 1000).SelectMany(message => message)];
        long taken = 0;
        while (true)
        {
            int count = deaf.Socket.Send(many.AsSpan((int)(taken % many.Length)), default, default, wait: false, out Errno error);
            taken += Math.Max(0, count);
            if (count < 0 && error != Errno.TryAgain)
                break;
            if (count < 0)
                Assert.True(HangGuard.WaitWritable(deaf.Socket.Descriptor), "it is never dropped");
        }

        // Three of the largest messages wait in the buffer; the sockets hold the rest.
        server.WaitForSessions();
        Assert.InRange(taken, 0, 16 << 20);
    }
}
