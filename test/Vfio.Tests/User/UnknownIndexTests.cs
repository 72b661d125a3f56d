using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>Servers that know fewer regions and kinds of interrupt than PCI has, or refuse those that they do not have, as libvfio-user
/// does: what they do not know is absent, and the device works.</summary>
public sealed class UnknownIndexTests
{
    public static TheoryData<uint> SaysThatItDoesNotKnow => [22, 25, 95, 38, 19, 6, 2];

    [Theory]
    [MemberData(nameof(SaysThatItDoesNotKnow))]
    public void A_region_that_is_refused_as_unknown_is_absent(uint errno)
    {
        using OpenedClient opened = new();
        foreach (RegionIndex region in (RegionIndex[])[RegionIndex.Vga, RegionIndex.Rom])
        {
            opened.Serve(server => Refuse(server, errno));
            Assert.Equal(RegionInfo.Absent(region), opened.Client.GetRegion(region) with { MmapAreas = RegionInfo.Absent(region).MmapAreas });
        }
    }

    [Theory]
    [MemberData(nameof(SaysThatItDoesNotKnow))]
    public void A_kind_of_interrupt_that_is_refused_as_unknown_is_absent(uint errno)
    {
        using OpenedClient opened = new();
        for (uint i = 0; i < InterruptIndex.PciCount; i++)
        {
            InterruptIndex kind = new(i);
            opened.Serve(server => Refuse(server, errno));
            Assert.Equal(new InterruptInfo(kind, 0, InterruptFlags.None), opened.Client.GetInterrupt(kind));
        }
    }

    [Theory]
    [InlineData(5u)]
    [InlineData(12u)]
    [InlineData(16u)]
    public void A_question_that_failed_is_a_failure(uint errno)
    {
        using OpenedClient opened = new();
        opened.Serve(server =>
        {
            Refuse(server, errno);
            Refuse(server, errno);
        });
        Assert.Equal((Errno)errno, Assert.Throws<VfioException>(() => opened.Client.GetRegion(RegionIndex.Vga)).Errno);
        Assert.Equal((Errno)errno, Assert.Throws<VfioException>(() => opened.Client.GetInterrupt(InterruptIndex.Error)).Errno);
    }

    [Theory]
    [InlineData(9u, 5u)]
    [InlineData(8u, 3u)]
    [InlineData(8u, 1u)]
    [InlineData(8u, 0u)]
    [InlineData(12u, 7u)]
    public void A_PCI_function_with_other_numbers_of_them_is_opened_reset_and_assigned(uint regions, uint interrupts)
    {
        (UnixSocket ours, UnixSocket theirs) = UnixSocket.CreatePair();
        Thread thread = new(() => ServeUntilClosed(theirs, regions, interrupts));
        thread.Start();
        VfioUserClient client = new(ours, "unix:test", new VfioUserClientOptions { Timeout = TimeSpan.FromSeconds(30) });
        using (PciDevice device = new(client))
        {
            Assert.Equal(0x1234, device.VendorId);
            Assert.Equal(0, device.Interrupts.Count(InterruptIndex.Error));
            Assert.Equal(0, device.Interrupts.Count(InterruptIndex.Request));
            Assert.Equal(0x1000, device.OpenBar(0).Length);
            device.Reset();

            // A server of this library asks everything of the device that it assigns.
            using VfioUserServer proxy = new(() => client, new VfioUserServerOptions { Path = null });
            (UnixSocket nearer, UnixSocket farther) = UnixSocket.CreatePair();
            Thread session = new(() =>
            {
                using (farther)
                    proxy.Serve(farther, CancellationToken.None);
            });
            session.Start();
            using (VfioUserClient second = new(nearer, "unix:proxy", new VfioUserClientOptions { Timeout = TimeSpan.FromSeconds(30) }))
                Assert.Equal((int)regions, second.Info.RegionCount);
            Assert.True(session.Join(TimeSpan.FromSeconds(30)));
        }

        Assert.True(thread.Join(TimeSpan.FromSeconds(30)));
    }

    /// <summary>A PCI function with BAR0 and config space; the ROM, VGA and all kinds of interrupt are unknown.</summary>
    private static void ServeUntilClosed(UnixSocket socket, uint regions, uint interrupts)
    {
        using RawPeer server = new(socket);
        byte[] config = new byte[256];
        RawPeer.Bytes((ushort)0x1234, (ushort)0x11e8).CopyTo(config, 0);
        while (server.TryReceive() is RawPeer.Reply request)
        {
            byte[]? body = request.Command switch
            {
                1 => HostileServerTests.Good,
                4 => RawPeer.Bytes(16, 3, regions, interrupts),
                5 when request.U32(8) is 0 => RawPeer.Bytes(32, 3, 0, 0, 0x1000ul, 0ul),
                5 when request.U32(8) is < 6 => RawPeer.Bytes(32, 0, request.U32(8), 0, 0ul, 0ul),
                5 when request.U32(8) is 7 => RawPeer.Bytes(32, 3, 7, 0, 256ul, 0ul),
                9 => [.. request.Body, .. config.AsSpan((int)request.U64(0), (int)request.U32(12))],
                10 => request.Body[..16],
                13 => [],
                _ => null,
            };
            byte[] reply = RawPeer.Message(request.Id, request.Command, body is null ? 0x21u : 1u, body ?? []);
            if (body is null)
                reply[12] = 22;
            server.Send(reply);
        }
    }

    private static void Refuse(RawPeer server, uint errno)
    {
        RawPeer.Reply request = server.Receive();
        byte[] refusal = RawPeer.Message(request.Id, request.Command, 0x21);
        refusal[12] = (byte)errno;
        server.Send(refusal);
    }
}
