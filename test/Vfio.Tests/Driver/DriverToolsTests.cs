using Vfio.Native;

namespace Vfio.Tests.Driver;

/// <summary>Typed registers, blocks, memory of one's own and scatter lists, with a device that does DMA: in this process and over a socket.
/// </summary>
/// <remarks>QEMU's edu: docs/specs/edu.rst.</remarks>
public sealed class DriverToolsTests
{
    private const ulong DeviceBuffer = 0x40000;

    public static TheoryData<string> Places => ["model", "socket"];

    [Theory]
    [MemberData(nameof(Places))]
    public void A_register_is_read_and_written_as_its_type(string place)
    {
        using Rig rig = new(place);
        Assert.Equal(new Identification(0x010000ed), rig.Registers.Read<Identification>(0x00));
        Assert.Equal((1, 0), (rig.Registers.Read<Identification>(0).Major, rig.Registers.Read<Identification>(0).Minor));
        rig.Registers.Write(0x04, new Liveness(0x12345678));
        Assert.Equal(new Liveness(~0x12345678u), rig.Registers.Read<Liveness>(0x04));
        rig.Registers.Write(0x80, new BusAddress(0x1234));
        Assert.Equal(new BusAddress(0x1234), rig.Registers.Read<BusAddress>(0x80));
    }

    [Theory]
    [MemberData(nameof(Places))]
    public void A_device_gathers_what_a_list_of_scattered_memory_holds_and_scatters_it_over_another(string place)
    {
        using Rig rig = new(place);
        SharedDmaMemory own = new(SharedMemory.Create("own", 0x2000));
        using DmaPool pool = new(rig.Device, blockBytes: 200, count: 8);
        pool.Allocate();
        DmaBuffer buffer = rig.Device.AllocateDma(0x2000);
        DmaBuffer mine = rig.Device.MapMemory(own, start: new Iova(0x800_0000));
        own.Release();
        DmaScatterList from = new();
        from.Add(pool.Allocate(), 8, 150);
        from.Add(mine, 0xf00, 0x300); // crosses a page
        from.Add(buffer, 0x1f00, 0x100);
        DmaScatterList to = new();
        to.Add(buffer, 0x10, 100);
        to.Add(pool.Allocate());
        to.Add(mine, 0, from.Length - to.Length);
        byte[] sent = new byte[from.Length];
        new Random(3).NextBytes(sent);
        from.Write(0, sent);

        rig.Move(from, toMemory: false);
        rig.Move(to, toMemory: true);

        byte[] received = new byte[to.Length];
        to.Read(0, received);
        Assert.Equal(sent, received);
    }

    [Theory]
    [MemberData(nameof(Places))]
    public void Memory_that_two_devices_have_carries_bytes_from_one_to_the_other(string place)
    {
        using Rig first = new(place);
        using Rig second = new("model");
        DmaBuffer buffer = first.Device.AllocateDma(0x1000);
        DmaBuffer shared = second.Device.MapMemory(buffer.Memory, DmaAccess.Read);
        DmaBuffer result = second.Device.AllocateDma(0x1000);
        first.Device.AllocateDma(0x1000).Dispose();
        byte[] sent = new byte[256];
        new Random(4).NextBytes(sent);
        buffer.Write(0x200, sent);

        first.Move(ListOf(buffer, 0x200), toMemory: false);
        buffer.Clear(0x200, 256);
        first.Move(ListOf(buffer, 0x800), toMemory: true);
        second.Move(ListOf(shared, 0x800), toMemory: false);
        second.Move(ListOf(result, 0), toMemory: true);

        byte[] received = new byte[256];
        result.Read(0, received);
        Assert.Equal(sent, received);

        static DmaScatterList ListOf(DmaBuffer buffer, long offset)
        {
            DmaScatterList list = new();
            list.Add(buffer, offset, 256);
            return list;
        }
    }

    [Theory]
    [MemberData(nameof(Places))]
    public void A_device_does_not_reach_memory_that_was_taken_away_though_its_owner_has_it(string place)
    {
        using Rig rig = new(place);
        SharedDmaMemory own = new(SharedMemory.Create("own", 0x1000));
        DmaBuffer mine = rig.Device.MapMemory(own);
        Iova start = mine.Start;
        mine.Dispose();
        rig.Move(start, DeviceBuffer, 8, toMemory: true);
        Assert.Equal(0ul, own.Shared.Read64(0));
        own.Release();
    }

    private readonly record struct Identification(uint Raw)
    {
        public int Major => (int)(Raw >> 24);

        public int Minor => (int)(Raw >> 16 & 0xff);
    }

    private readonly record struct Liveness(uint Raw);

    private readonly record struct BusAddress(ulong Raw);

    /// <summary>An edu, driven by hand.</summary>
    private sealed class Rig : IDisposable
    {
        private readonly LocalServer? _server;

        internal Rig(string place)
        {
            _server = place == "socket" ? new LocalServer(() => VfioDevice.Open("model:edu")) : null;
            Device = new PciDevice(VfioDevice.Open(_server?.Address ?? "model:edu")) { DmaAddressBits = 28 };
            Registers = Device.OpenBar(0);
            Device.EnableBusMaster();
        }

        internal PciDevice Device { get; }

        internal Bar Registers { get; }

        /// <summary>Moves the memory of a list to the device's buffer, or that over the list.</summary>
        internal void Move(DmaScatterList list, bool toMemory)
        {
            Span<DmaSegment> segments = stackalloc DmaSegment[16];
            int count = list.GetSegments(segments, maxBytes: 0x180);
            ulong at = DeviceBuffer;
            foreach (DmaSegment segment in segments[..count])
            {
                Move(segment.Start, at, segment.Length, toMemory);
                at += (ulong)segment.Length;
            }
        }

        internal void Move(Iova memory, ulong at, long count, bool toMemory)
        {
            Registers.Write64(0x80, toMemory ? at : memory.Value);
            Registers.Write64(0x88, toMemory ? memory.Value : at);
            Registers.Write64(0x90, (ulong)count);
            Registers.Write32(0x98, toMemory ? 3u : 1u);
            Assert.True(Registers.WaitFor32(0x98, mask: 1, value: 0, HangGuard.Timeout));
        }

        public void Dispose()
        {
            Device.Dispose();
            _server?.Dispose();
        }
    }
}
