using System.Diagnostics;
using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Native.Sockets;
using static Vfio.Tests.RawClient;

namespace Vfio.Tests.Processes;

/// <summary>Clients that do what no client should, over a real socket to a real server process. Each gets an error or is dropped;
/// the server lives, holds not one descriptor or mapping more than before, and serves the next client from a clean state.</summary>
public sealed class HostileClientTests(ServerProcess server) : IClassFixture<ServerProcess>
{
    private const int EINVAL = 22;
    private const ulong Page = 4096;
    private const uint TriggerEvents = 0x24, TriggerNone = 0x21;

    [Theory]
    [InlineData(1)]
    [InlineData(15)]
    [InlineData(16)]
    [InlineData(4096)]
    [InlineData(3_000_000)]
    public void Garbage_is_dropped(int length)
    {
        byte[] garbage = new byte[length];
        new Random(length).NextBytes(garbage);
        Attack(client =>
        {
            int at = 0;
            while (at < garbage.Length && client.SendSome(garbage.AsSpan(at)) is > 0 and int sent)
                at += sent;
        });
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(15u)]
    [InlineData(uint.MaxValue)]
    [InlineData(0x8000_0000u)]
    public void A_header_whose_size_cannot_be_ends_the_session(uint size) => Attack(client =>
    {
        client.Negotiate();
        client.Send(Message(GetInfo, new byte[16], size));
        while (client.Receive() is not null)
        {
        }
    });

    [Theory]
    [InlineData(1)]
    [InlineData(8)]
    [InlineData(16)]
    [InlineData(20)]
    public void A_message_that_stops_half_way(int bytes) => Attack(client =>
    {
        client.Negotiate();
        client.Send(Message(RegionRead, AccessBody(0, 7, 4)).AsSpan(0, bytes));
    });

    [Fact]
    public void A_message_whose_rest_never_comes_is_dropped_while_the_client_stays()
    {
        using RawClient stuck = new(server.SocketPath);
        stuck.Negotiate();
        stuck.Send(Message(RegionRead, AccessBody(0, 7, 4)).AsSpan(0, 20));
        ServeOneWell();
        Assert.Null(stuck.Receive());
    }

    [Fact]
    public void A_client_that_never_negotiates_does_not_keep_the_next_one_out()
    {
        using RawClient silent = new(server.SocketPath);
        ServeOneWell();
    }

    [Fact]
    public void A_client_that_never_reads_is_dropped()
    {
        using RawClient deaf = new(server.SocketPath);
        deaf.Negotiate();
        deaf.SendUntilDropped(Message(RegionRead, AccessBody(0, 7, 256)));
        ServeOneWell();
    }

    [Theory]
    [InlineData(0xffff_ffff_ffff_fffc, 7u, 8u)]
    [InlineData(0xffff_ffff_ffff_ffff, 0u, 1u)]
    [InlineData(0UL, 7u, 0xffff_ffffu)]
    [InlineData(0UL, 7u, 0x8000_0000u)]
    [InlineData(4092UL, 7u, 8u)]
    [InlineData(0x100000UL, 0u, 4u)]
    [InlineData(0UL, 9u, 4u)]
    [InlineData(0UL, 0xffff_ffffu, 4u)]
    [InlineData(0UL, 1u, 4u)]
    public void A_range_that_leaves_its_region_is_an_error(ulong offset, uint region, uint count) => Attack(client =>
    {
        client.Negotiate();
        Assert.NotEqual(0, client.Ask(RegionRead, AccessBody(offset, region, count)));
        Assert.NotEqual(0, client.Ask(RegionWrite, AccessBody(offset, region, count, new byte[4])));
        Assert.Equal(0, client.Ask(RegionRead, AccessBody(0, 7, 4)));
    });

    [Fact]
    public void A_body_shorter_than_its_struct_is_an_error() => Attack(client =>
    {
        client.Negotiate();
        foreach (ushort command in new[] { DmaMap, DmaUnmap, GetInfo, GetRegionInfo, GetIrqInfo, SetIrqs, RegionRead, RegionWrite })
            Assert.Equal(EINVAL, client.Ask(command, new byte[3]));
        Assert.NotEqual(0, client.Ask(999, new byte[3]));
    });

    [Fact]
    public void A_socket_is_no_memory() => Attack(client =>
    {
        client.Negotiate();
        using FileDescriptor socket = OpenSocket();
        Assert.NotEqual(0, client.Ask(DmaMap, MapBody(0, 0, Page), socket));
    });

    [Fact]
    public void A_file_shorter_than_its_mapping_is_no_memory() => Attack(client =>
    {
        client.Negotiate();
        using FileDescriptor file = MemoryFile.Create("test-client", Page);
        Assert.NotEqual(0, client.Ask(DmaMap, MapBody(0, 0, 2 * Page), file));
        Assert.NotEqual(0, client.Ask(DmaMap, MapBody(Page, 0, Page), file));
        Assert.NotEqual(0, client.Ask(DmaMap, MapBody(ulong.MaxValue - Page + 1, 0, 2 * Page), file));
    });

    [Theory]
    [InlineData(0UL, 0UL)]
    [InlineData(ulong.MaxValue - 4095, 2 * 4096UL)]
    [InlineData(1UL, 4096UL)]
    [InlineData(0UL, 4095UL)]
    public void A_mapping_whose_addresses_cannot_be_is_an_error(ulong address, ulong size) => Attack(client =>
    {
        client.Negotiate();
        using FileDescriptor file = MemoryFile.Create("test-client", 4 * Page);
        Assert.NotEqual(0, client.Ask(DmaMap, MapBody(0, address, size), file));
    });

    [Fact]
    public void A_socket_is_no_eventfd() => Attack(client =>
    {
        client.Negotiate();
        using FileDescriptor socket = OpenSocket();
        Assert.NotEqual(0, client.Ask(SetIrqs, IrqBody(TriggerEvents, 1, 0, 1), socket));
    });

    [Theory]
    [InlineData(1u, 0u, 2u)]
    [InlineData(1u, 1u, 1u)]
    [InlineData(1u, 0xffff_ffffu, 2u)]
    [InlineData(2u, 0u, 1u)]
    [InlineData(5u, 0u, 1u)]
    [InlineData(0u, 0u, 0xffff_ffffu)]
    public void Vectors_that_the_device_does_not_have_are_an_error(uint index, uint start, uint count) => Attack(client =>
    {
        client.Negotiate();
        Assert.NotEqual(0, client.Ask(SetIrqs, IrqBody(TriggerNone, index, start, count)));
        using EventFd eventFd = EventFd.Create();
        Assert.NotEqual(0, client.Ask(SetIrqs, IrqBody(TriggerEvents, index, start, count), eventFd.Descriptor));
    });

    [Fact]
    public void Descriptors_that_nobody_asked_for_are_closed() => Attack(client =>
    {
        client.Negotiate();
        using EventFd eventFd = EventFd.Create();
        FileDescriptor[] many = [.. Enumerable.Repeat(eventFd.Descriptor, 200)];
        for (int i = 0; i < 5; i++)
        {
            client.Ask(GetInfo, [.. Bytes(16u), .. new byte[12]], many);
            client.Ask(RegionRead, AccessBody(0, 7, 4), many);
            client.Ask(DmaMap, MapBody(0, 0, Page), many);
            client.Ask(SetIrqs, IrqBody(TriggerEvents, 1, 0, 1), many);
        }
    });

    [Fact]
    public void A_client_that_vanishes_at_any_step_leaves_nothing()
    {
        using FileDescriptor file = MemoryFile.Create("test-client", 16 * Page);
        using EventFd eventFd = EventFd.Create();
        for (int steps = 0; steps < 6; steps++)
        {
            Attack(client =>
            {
                Action[] script =
                [
                    client.Negotiate,
                    () => Assert.Equal(0, client.Ask(DmaMap, MapBody(0, 0, 4 * Page), file)),
                    () => Assert.Equal(0, client.Ask(SetIrqs, IrqBody(TriggerEvents, 1, 0, 1), eventFd.Descriptor)),
                    () => Assert.Equal(0, client.Ask(RegionWrite, AccessBody(4, 7, 2, 6, 0))),
                    () => client.Send(Message(DmaMap, MapBody(4 * Page, 4 * Page, Page)).AsSpan(0, 30), file),
                ];
                foreach (Action step in script.Take(steps))
                    step();
            });
        }
    }

    [Fact]
    public void A_file_that_is_truncated_after_it_was_mapped_fails_the_access() => Attack(client =>
    {
        const ulong Bar0 = 0, Source = 0x80, Destination = 0x88, Count = 0x90, Command = 0x98;
        const uint Buffer = 0x40000, FromMemory = 1;
        client.Negotiate();
        using FileDescriptor file = MemoryFile.CreateUnsealed("test-client", 4 * Page);
        Assert.Equal(0, client.Ask(DmaMap, MapBody(0, 0x10000, 4 * Page), file));
        Assert.Equal(0, client.Ask(RegionWrite, AccessBody(4, 7, 2, 6, 0)));
        MemoryFile.Resize(file, 0);
        foreach ((ulong register, ulong value) in new[] { (Source, 0x10000UL), (Destination, Buffer), (Count, 64UL), (Command, FromMemory) })
            Assert.Equal(0, client.Ask(RegionWrite, AccessBody(register, (uint)Bar0, 8, Bytes(value))));

        // The transfer ends, in whatever way, and with it the command's busy bit.
        byte[]? reply;
        do
        {
            client.Send(Message(RegionRead, AccessBody(Command, (uint)Bar0, 8)));
            reply = client.Receive();
        }
        while (reply is not null && (reply[HeaderBytes + 16] & 1) != 0);
    });

    [Fact]
    public void A_process_that_is_killed_while_it_drives_the_device_leaves_nothing()
    {
        ServeOneWell();
        server.WaitUntilIdle();
        IReadOnlyList<string> before = server.Descriptors();
        using (Process driver = VfioCommand.Start("demo-user", "unix:" + server.SocketPath))
        {
            driver.StandardInput.WriteLine("open");
            Assert.Contains("1234:11e8", driver.StandardOutput.ReadLine());
            driver.StandardInput.WriteLine("copy");
            driver.StandardInput.Flush();
            Assert.True(SpinWait.SpinUntil(() => server.IsHolding("memfd:vfio-dma"), HangGuard.Timeout), "no DMA began");
            driver.Kill();
            driver.WaitForExit();
        }

        ServeOneWell();
        server.AssertComesBackTo(before);
        Assert.False(server.IsHolding("memfd:vfio-dma"));
    }

    [Fact]
    public void State_of_one_client_does_not_reach_the_next() => Attack(client =>
    {
        client.Negotiate();
        Assert.Equal(0, client.Ask(RegionWrite, AccessBody(4, 7, 2, 6, 0)));
        Assert.Equal(0, client.Ask(RegionWrite, AccessBody(0x3c, 7, 1, 0x55)));
    });

    /// <summary>Lets a hostile client do its worst, and then looks at the server.</summary>
    private void Attack(Action<RawClient> attack)
    {
        // What the server holds after a good client is what it holds at rest.
        ServeOneWell();
        server.WaitUntilIdle();
        IReadOnlyList<string> before = server.Descriptors();
        using (RawClient client = new(server.SocketPath))
            attack(client);
        ServeOneWell();
        server.AssertComesBackTo(before);
    }

    /// <summary>A good client: it finds bus master off, nothing of another in the interrupt line, and edu's ids.</summary>
    private void ServeOneWell()
    {
        using RawClient client = new(server.SocketPath);
        client.Negotiate();
        client.Send(Message(RegionRead, AccessBody(0, 7, 64)));
        byte[]? reply = client.Receive();
        Assert.NotNull(reply);
        byte[] config = reply[(HeaderBytes + 16)..];
        Assert.Equal([0x34, 0x12, 0xe8, 0x11], config[..4]);
        Assert.Equal(0, config[4] & 4);
        Assert.NotEqual(0x55, config[0x3c]);
    }

    private static FileDescriptor OpenSocket()
    {
        (UnixSocket first, UnixSocket second) = UnixSocket.CreatePair();
        second.Dispose();
        return first.Descriptor;
    }
}
