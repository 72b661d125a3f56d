using Vfio.Devices;
using Vfio.Guard;
using Vfio.Native;
using Vfio.Native.Memory;
using Xunit;

namespace Vfio.Tests.Devices;

/// <summary>The benchmark device as programs that measure have it: assigned with bus mastering on, and config space never written.</summary>
public sealed class BenchFunctionTests : IDisposable
{
    private const ulong Page = 0x1000, Start = 0x4000_0000;
    private const uint Read = 1, Write = 2, Translate = 6;
    private readonly GuardedFunction _guard = ModelCatalog.CreateGuarded("bench", new Dictionary<string, string> { ["busmaster"] = "on" });
    private readonly SharedDmaMemory _memory = new(SharedMemory.Create("bench-test", 4 * Page));
    private readonly IVfioDevice _device;

    public BenchFunctionTests() => _device = _guard.Open();

    public void Dispose()
    {
        _device.Dispose();
        _guard.Dispose();
        _memory.Release();
    }

    [Fact]
    public void Identity_and_msix_capability_stand_where_the_interface_has_them()
    {
        byte[] config = new byte[256];
        _device.ReadRegion(RegionIndex.Config, 0, config);
        Assert.Equal([0x46, 0x56, 0x42, 0x55], config[..4]);
        Assert.Equal([0x00, 0x00, 0xff], config[9..12]);
        Assert.Equal([0x46, 0x56, 0x01, 0x00], config[0x2c..0x30]);
        Assert.Equal(0x40, config[0x34]);
        Assert.Equal(1, config[0x3d]);
        Assert.Equal([0x11, 0x00, 0x1f, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x0c, 0x00, 0x00], config[0x40..0x4c]);
        Assert.Equal(0x10_0000ul, _device.GetRegion(RegionIndex.Bar(2)).Length);
        Assert.True(_device.GetRegion(RegionIndex.Bar(2)).IsMappable);
        Assert.Equal(32, _device.GetInterrupt(InterruptIndex.Msix).Count);
        Assert.Equal(0, _device.GetInterrupt(InterruptIndex.Msi).Count);
    }

    [Fact]
    public void Its_state_goes_to_another_and_what_was_asked_of_it_meanwhile_is_done_there()
    {
        using GuardedFunction guard = ModelCatalog.CreateGuarded("bench", new Dictionary<string, string> { ["busmaster"] = "on" });
        using IVfioDevice other = guard.Open();
        foreach (IVfioDevice device in new[] { _device, other })
            device.MapDma(new DmaMapping(new Iova(Start), Page, DmaAccess.ReadWrite, _memory, 0));
        byte[] moved = [5, 6, 7, 8];
        Assert.True(_memory.Shared.TryWrite(0, moved));
        _device.WriteRegion(RegionIndex.Bar0, 0x08, [9, 9, 9, 9]);
        _device.WriteRegion(RegionIndex.Bar(2), 0x8000, [1, 2, 3, 4]);
        _device.Get<IMigratableDevice>().SetMigrationState(MigrationState.Stop);
        _device.WriteRegion(RegionIndex.Bar0, 0x18, BitConverter.GetBytes(Start));
        _device.WriteRegion(RegionIndex.Bar0, 0x20, BitConverter.GetBytes(4ul));
        _device.WriteRegion(RegionIndex.Bar0, 0x28, BitConverter.GetBytes(Read));
        Assert.Equal(0ul, Get(0x38));

        DeviceState.Restore(other, DeviceState.Save(_device));
        other.Get<IMigratableDevice>().SetMigrationState(MigrationState.Running);
        byte[] four = new byte[4];
        other.ReadRegion(RegionIndex.Bar0, 0x08, four);
        Assert.Equal([9, 9, 9, 9], four);
        other.ReadRegion(RegionIndex.Bar(2), 0x8000, four);
        Assert.Equal([1, 2, 3, 4], four);
        other.ReadRegion(RegionIndex.Bar(2), 0, four);
        Assert.Equal(moved, four);
        other.ReadRegion(RegionIndex.Bar0, 0x38, four);
        Assert.Equal([4, 0, 0, 0], four);
    }

    [Fact]
    public void A_transfer_over_two_mappings_moves_bytes_and_counts_two_segments()
    {
        Map(Start, Page, 0);
        Map(Start + Page, Page, Page);
        Assert.Equal(2ul, Get(0x58));
        byte[] sent = [.. Enumerable.Range(0, 200).Select(i => (byte)(i + 1))];
        Assert.True(_memory.Shared.TryWrite(Page - 100, sent));
        Assert.Equal(0u, Go(Read, Start + Page - 100, 200));
        Assert.Equal(2ul, Get(0x34, 4));
        Assert.Equal(200ul, Get(0x38));
        byte[] received = new byte[200];
        _device.ReadRegion(RegionIndex.Bar(2), 0, received);
        Assert.Equal(sent, received);
    }

    [Fact]
    public void A_long_transfer_arrives_whole_in_both_directions()
    {
        Map(Start, 4 * Page, 0);
        byte[] sent = new byte[4 * Page];
        new Random(1).NextBytes(sent);
        _device.WriteRegion(RegionIndex.Bar(2), 0, sent);
        Assert.Equal(0u, Go(Write, Start, 4 * Page));
        byte[] received = new byte[4 * Page];
        Assert.True(_memory.Shared.TryRead(0, received));
        Assert.Equal(sent, received);
        _device.WriteRegion(RegionIndex.Bar(2), 0, new byte[4 * Page]);
        Assert.Equal(0u, Go(Read, Start, 4 * Page));
        _device.ReadRegion(RegionIndex.Bar(2), 0, received);
        Assert.Equal(sent, received);
    }

    [Fact]
    public void A_hole_fails_with_EFAULT_and_nothing_counts()
    {
        Map(Start, Page, 0);
        Assert.Equal(14u, Go(Translate, Start + Page - 10, 20));
        Assert.Equal(0ul, Get(0x38));
        Assert.Equal(14u, Go(Read, Start + Page - 10, 20));
    }

    [Fact]
    public void A_write_needs_a_mapping_that_may_be_written()
    {
        _device.MapDma(new DmaMapping(new Iova(Start), Page, DmaAccess.Read, _memory, 0));
        Assert.Equal(13u, Go(Write, Start, 4));
        Assert.Equal(0u, Go(Translate, Start, 4));
    }

    [Fact]
    public void Repeats_are_all_looked_up()
    {
        Map(Start, Page, 0);
        Map(Start + (2 * Page), Page, Page);
        Set(0x40, 3);
        Set(0x60, 2 * Page, 8);
        Set(0x68, 4 * Page, 8);
        Assert.Equal(0u, Go(Translate, Start, 64));
        Assert.Equal(192ul, Get(0x38));
        Assert.True(Get(0x48) > 0);
        Set(0x68, 6 * Page, 8);
        Assert.Equal(14u, Go(Translate, Start, 64));
        Assert.Equal(128ul, Get(0x38));
    }

    [Fact]
    public void A_vector_is_signalled_once_and_one_without_a_listener_is_an_error()
    {
        Set(0x10, 3);
        Assert.NotEqual(0ul, Get(0x14, 4));
        using EventFd signalled = EventFd.Create();
        _device.SetInterrupts(InterruptRequest.Bind(InterruptIndex.Msix, InterruptAction.Trigger, 3, [signalled.Descriptor]));
        Set(0x10, 3);
        Assert.Equal(0ul, Get(0x14, 4));
        Assert.Equal(1ul, signalled.Drain());
        Set(0x10, 4);
        Assert.NotEqual(0ul, Get(0x14, 4));
        Set(0x10, 32);
        Assert.Equal(22ul, Get(0x14, 4));
        Assert.Equal(0ul, signalled.Drain());
    }

    [Fact]
    public void Vector_0_alone_comes_by_the_pin_when_only_that_is_listened_to()
    {
        using EventFd signalled = EventFd.Create();
        _device.SetInterrupts(InterruptRequest.Bind(InterruptIndex.Intx, InterruptAction.Trigger, 0, [signalled.Descriptor]));
        Set(0x10, 0);
        Assert.Equal(0ul, Get(0x14, 4));
        Assert.Equal(1ul, signalled.Drain());
        Set(0x10, 1);
        Assert.NotEqual(0ul, Get(0x14, 4));
    }

    [Fact]
    public void Reset_clears_the_registers_and_leaves_mappings_and_bus_master()
    {
        Map(Start, Page, 0);
        Set(0x08, 0xdeadbeef);
        _device.Reset();
        Assert.Equal(0ul, Get(0x08, 4));
        Assert.Equal(0ul, Get(0x50));
        Assert.Equal(1ul, Get(0x58));
        Assert.Equal(0u, Go(Read, Start, 4));
    }

    private void Map(ulong start, ulong length, ulong offset) =>
        _device.MapDma(new DmaMapping(new Iova(start), length, DmaAccess.ReadWrite, _memory, offset));

    private uint Go(uint operation, ulong address, ulong length)
    {
        Set(0x18, address, 8);
        Set(0x20, length, 8);
        Set(0x28, operation);
        return (uint)Get(0x30, 4);
    }

    private void Set(ulong offset, ulong value, int width = 4) =>
        _device.WriteRegion(RegionIndex.Bar0, offset, Blittable.AsBytes(ref value)[..width]);

    private ulong Get(ulong offset, int width = 8)
    {
        ulong value = 0;
        _device.ReadRegion(RegionIndex.Bar0, offset, Blittable.AsBytes(ref value)[..width]);
        return value;
    }
}
