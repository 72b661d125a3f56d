using System.Diagnostics;
using Vfio.Native;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>Whole sessions made at random out of messages that are nearly right, cut and broken at random.</summary>
public sealed class RandomSessionTests
{
    private const string FileName = "random-session";
    private const int LeastSessions = 20;
    private static readonly TimeSpan Length = TimeSpan.FromSeconds(2);
    private static readonly ulong[] Edges =
        [0, 1, 2, 3, 4, 8, 15, 16, 20, 24, 32, 0xfff, 0x1000, 0x1001, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff, 1ul << 63, ulong.MaxValue];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void No_session_ends_the_server_or_leaves_anything_behind(int seed)
    {
        string name = $"{FileName}-{seed}";
        Random random = new(seed);
        VfioUserServerOptions options = new()
        {
            MaxDataTransferBytes = 65536,
            MessageTimeout = TimeSpan.FromMilliseconds(20),
            SendTimeout = TimeSpan.FromMilliseconds(200),
            DmaTimeout = TimeSpan.FromMilliseconds(5),
        };
        bool usesThread = false;
        using TestServer server = new(() => new FakeDevice { UsesThread = usesThread }, options);
        using FileDescriptor file = MemoryFile.Create(name, 0x10000);
        using EventFd events = EventFd.Create();
        Stopwatch clock = Stopwatch.StartNew();
        int sessions = 0;
        while (clock.Elapsed < Length || sessions < LeastSessions)
        {
            sessions++;
            usesThread = random.Next(4) == 0;
            using (RawPeer peer = server.ConnectRaw(negotiate: random.Next(10) != 0))
                Talk(peer, random, [file, events.Descriptor]);
            server.WaitForSessions();
            server.Devices.RemoveAll(device => device.Disposed);
            Assert.Empty(server.Devices);
        }

        Assert.Equal((1, 0), (OpenDescriptors.OfMemoryFile(name), OpenDescriptors.MappingsOf(name)));
        using VfioUserClient next = server.ConnectClient();
        byte[] four = [1, 2, 3, 4];
        next.ReadRegion(RegionIndex.Bar0, 0, four);
        Assert.Equal(new byte[4], four);
    }

    private static void Talk(RawPeer peer, Random random, FileDescriptor[] descriptors)
    {
        int messages = random.Next(1, 60);
        for (int i = 0; i < messages; i++)
        {
            byte[] message = RandomMessage(random);
            if (random.Next(60) == 0)
                message[random.Next(message.Length)] ^= (byte)(1 << random.Next(8));
            int cut = random.Next(12) == 0 ? random.Next(1, message.Length + 1) : message.Length;
            FileDescriptor[] with = [.. Enumerable.Range(0, random.Next(3) == 0 ? random.Next(1, 4) : 0).Select(_ => descriptors[random.Next(2)])];
            if (!TrySend(peer, message.AsSpan(0, cut), with) || (cut < message.Length && random.Next(2) == 0 && !TrySend(peer, message.AsSpan(cut), [])))
                return;
            if (random.Next(8) == 0)
                Drain(peer);
        }

        if (random.Next(4) != 0)
            Drain(peer);
    }

    private static byte[] RandomMessage(Random random)
    {
        ushort command = (ushort)(random.Next(10) == 0 ? random.Next(0, 22) : random.Next(1, 14));
        uint argsz = random.Next(8) == 0 ? (uint)Edge(random) : (uint)random.Next(16, 100);
        uint flags = random.Next(8) == 0 ? 0x10u : random.Next(60) == 0 ? (uint)random.Next(64) : 0;
        int length = random.Next(0, 300);
        object[] fields = command switch
        {
            1 => [(ushort)0, (ushort)1, "{\"capabilities\":{}}\0"],
            2 => [argsz, random.Next(1, 4), Page(random), Page(random), Page(random)],
            3 => [argsz, random.Next(8) == 0 ? random.Next(4) : 0, Page(random), Page(random)],
            4 or 7 => [argsz, 0, random.Next(6), 0],
            5 => [argsz, 0, random.Next(10), 0, 0ul, 0ul],
            8 => [argsz, (uint)((1 << random.Next(3)) | (8 << random.Next(3))), random.Next(6), random.Next(9), random.Next(9), new byte[random.Next(9)]],
            9 => [Offset(random), random.Next(10), (uint)Edge(random)],
            10 => [Offset(random), random.Next(10), random.Next(8) == 0 ? (uint)Edge(random) : (uint)length, Noise(random, length)],
            11 or 12 => [Page(random), (ulong)length, new byte[length]],
            _ => [],
        };
        return RawPeer.Message((ushort)random.Next(65536), command, flags, fields);
    }

    private static ulong Edge(Random random) => Edges[random.Next(Edges.Length)];

    private static ulong Offset(Random random) => random.Next(4) switch
    {
        0 => FakeDevice.DmaGo,
        1 => Edge(random),
        _ => (ulong)random.Next(0, 4200),
    };

    private static ulong Page(Random random) => random.Next(6) == 0 ? Edge(random) : (ulong)random.Next(0, 16) * 0x1000;

    private static byte[] Noise(Random random, int length)
    {
        byte[] bytes = new byte[length];
        // Small numbers make addresses and lengths that the device's DMA can use.
        for (int i = 0; i < length; i++)
            bytes[i] = random.Next(8) == 0 ? (byte)random.Next(3) : (byte)0;
        return bytes;
    }

    private static bool TrySend(RawPeer peer, ReadOnlySpan<byte> bytes, FileDescriptor[] with)
    {
        while (bytes.Length > 0)
        {
            int count = peer.Socket.Send(bytes, default, with, wait: false, out Errno error);
            if (count < 0 && error != Errno.TryAgain)
                return false;
            if (count < 0 && !Drain(peer))
                Poll.WaitEither(peer.Socket.Descriptor, TimeSpan.FromMilliseconds(1));
            bytes = bytes[Math.Max(0, count)..];
            with = count < 0 ? with : [];
        }

        return true;
    }

    private static bool Drain(RawPeer peer)
    {
        byte[] bytes = new byte[65536];
        bool any = false;
        while (peer.Socket.Receive(bytes, peer.Descriptors, wait: false, out _) > 0)
            any = true;
        peer.Descriptors.Clear();
        return any;
    }
}
