using System.Buffers.Binary;
using Vfio.Devices.Bench;
using Vfio.Guard;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.User;
using Vfio.User.Handover;

namespace Vfio.Tests.User;

/// <summary>Processes that are no successor, and processes that are no predecessor. In each case the server continues.</summary>
public sealed class HostileHandoverTests
{
    private const uint Ask = 1, Give = 2, Taken = 3, Refuse = 4;

    [Theory]
    [InlineData("nothing")]
    [InlineData("garbage")]
    [InlineData("version 1")]
    [InlineData("version 3")]
    [InlineData("another message")]
    [InlineData("gone after asking")]
    [InlineData("refusal")]
    [InlineData("garbage as an answer")]
    public void A_server_outlives_a_successor(string what)
    {
        using Relay relay = new(() => new BenchFunction(), BenchFunction.Policy);
        using VfioUserClient client = VfioUserClient.Connect(relay.SocketPath);
        client.WriteRegion(RegionIndex.Bar0, 8, [1, 2, 3, 4]);
        using (RawPeer peer = new(UnixSocket.Connect(relay.Place)))
        {
            switch (what)
            {
                case "nothing":
                    break;
                case "garbage":
                    peer.Send([.. Enumerable.Range(0, 1000).Select(i => (byte)(i * 7))]);
                    break;
                case "version 1":
                    peer.Send(Header(1, Ask, 0));
                    break;
                case "version 3":
                    peer.Send(Header(3, Ask, 0));
                    break;
                case "another message":
                    peer.Send(Header(2, Taken, 0));
                    break;
                default:
                    peer.Send(Header(2, Ask, 0));
                    byte[] head = peer.ReceiveExactly(24);
                    Assert.Equal(Give, BinaryPrimitives.ReadUInt32LittleEndian(head.AsSpan(12)));
                    if (what == "refusal")
                        peer.Send([.. Header(2, Refuse, 2), .. "no"u8]);
                    else if (what == "garbage as an answer")
                        peer.Send(new byte[100]);
                    break;
            }
        }

        byte[] bytes = new byte[4];
        client.ReadRegion(RegionIndex.Bar0, 8, bytes);
        Assert.Equal([1, 2, 3, 4], bytes);
        relay.Replace();
        client.ReadRegion(RegionIndex.Bar0, 8, bytes);
        Assert.Equal([1, 2, 3, 4], bytes);
    }

    [Fact]
    public void The_place_is_for_its_owner_alone()
    {
        using Relay relay = new(() => new BenchFunction());
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(relay.Place));
    }

    [Fact]
    public void Whatever_a_server_hands_over_a_successor_takes_it_or_reports_why_not()
    {
        using Relay relay = new(() => new BenchFunction(), BenchFunction.Policy);
        using VfioUserClient client = VfioUserClient.Connect(relay.SocketPath);
        using EventFd fired = EventFd.Create();
        SharedDmaMemory memory = new(SharedMemory.Create("handover-hostile", 0x2000));
        client.MapDma(new DmaMapping(new Iova(0x1000), 0x2000, DmaAccess.ReadWrite, memory, 0));
        client.SetInterrupts(InterruptRequest.Bind(InterruptIndex.Msix, InterruptAction.Trigger, 3, [fired.Descriptor]));
        byte[] contents;
        List<FileDescriptor> descriptors = [];
        using (RawPeer peer = new(UnixSocket.Connect(relay.Place)))
        {
            peer.Send(Header(2, Ask, 0));
            byte[] head = peer.ReceiveExactly(24);
            contents = peer.ReceiveExactly((int)BinaryPrimitives.ReadUInt32LittleEndian(head.AsSpan(16)));
            while (peer.Descriptors.Take() is FileDescriptor descriptor)
                descriptors.Add(descriptor);
            Assert.Equal(descriptors.Count, (int)BinaryPrimitives.ReadUInt32LittleEndian(head.AsSpan(20)));
        }

        Random random = new(1);
        int refused = 0;
        for (int round = 0; round < 200; round++)
        {
            byte[] changed = [.. contents];
            for (int i = random.Next(1, 4); i > 0; i--)
                changed[random.Next(changed.Length)] ^= (byte)(1 << random.Next(8));
            if (round % 3 == 0)
                changed = changed[..random.Next(changed.Length)];
            refused += IsRefused(changed, descriptors) ? 1 : 0;
        }

        Assert.InRange(refused, 100, 200);
        descriptors.ForEach(descriptor => descriptor.Dispose());
        memory.Release();
    }

    private static bool IsRefused(byte[] contents, List<FileDescriptor> descriptors)
    {
        string folder = Directory.CreateTempSubdirectory("vfio-hostile-").FullName;
        string path = Path.Combine(folder, "next");
        using GuardedFunction function = new(new BenchFunction(), policy: BenchFunction.Policy);
        using UnixListener listener = HandoverPoint.Listen(path);
        Thread giving = new(() =>
        {
            using RawPeer peer = new(listener.Accept()!);
            peer.ReceiveExactly(24);
            byte[] whole = [.. Header(2, Give, contents.Length, descriptors.Count), .. contents];
            peer.Socket.Send(whole, default, [.. descriptors], wait: true, out _);
            _ = peer.IsClosed();
        });
        giving.Start();
        try
        {
            VfioUserServer server = new(function.Open, new VfioUserServerOptions { TakeOverPath = path });
            server.Dispose();
            return false;
        }
        catch (VfioException)
        {
            return true;
        }
        finally
        {
            giving.Join();
            listener.Dispose();
            Directory.Delete(folder, recursive: true);
        }
    }

    private static byte[] Header(uint version, uint kind, int length, int descriptors = 0) =>
        RawPeer.Bytes("vfio-hnd", version, kind, length, descriptors);
}
