using System.Runtime.InteropServices;
using Vfio.Native;
using Xunit;

namespace Vfio.Tests.Driver;

public sealed class DmaBufferTests : IDisposable
{
    private readonly FakeDevice _fake = new();
    private readonly PciDevice _device;

    public DmaBufferTests() => _device = new PciDevice(_fake);

    public void Dispose() => _device.Dispose();

    [Fact]
    public void A_buffer_is_whole_zeroed_pages_mapped_at_its_address()
    {
        DmaBuffer buffer = _device.AllocateDma(5000, DmaAccess.Write);
        DmaMapping mapping = _fake.Mappings[buffer.Start];

        Assert.Equal(0, buffer.Length % Environment.SystemPageSize);
        Assert.InRange(buffer.Length, 5000, 5000 + Environment.SystemPageSize);
        Assert.Equal((ulong)buffer.Length, mapping.Length);
        Assert.Equal(DmaAccess.Write, mapping.Access);
        Assert.Equal(0ul, buffer.Read64(4096));
    }

    [Fact]
    public void The_device_sees_what_the_driver_writes_and_the_other_way_round()
    {
        DmaBuffer buffer = _device.AllocateDma(4096);
        DmaMemory memory = _fake.Mappings[buffer.Start].Memory;
        byte[] seen = new byte[8];

        buffer.Write8(0x10, 1);
        buffer.Write16(0x12, 0x0302);
        buffer.Write32(0x14, 0x07060504);
        Assert.Equal(Errno.None, memory.Read(0x10, seen));
        Assert.Equal([1, 0, 2, 3, 4, 5, 6, 7], seen);

        Assert.Equal(Errno.None, memory.Write(0x20, [1, 2, 3, 4, 5, 6, 7, 8]));
        Assert.Equal(0x0807060504030201ul, buffer.Read64(0x20));
        Assert.Equal(0x04030201u, buffer.Read32(0x20));
        Assert.Equal(0x0201, buffer.Read16(0x20));
        Assert.Equal(0x02, buffer.Read8(0x21));
    }

    [Fact]
    public void Descriptors_are_copied_whole()
    {
        DmaBuffer buffer = _device.AllocateDma(4096);
        buffer.Write(0x40, new Descriptor { Address = 0x1122334455667788, Length = 0x99aa, Flags = 0xbb });

        Assert.Equal(0x1122334455667788ul, buffer.Read64(0x40));
        Assert.Equal(0x99aa, buffer.Read16(0x48));
        Assert.Equal(0xbb, buffer.Read<Descriptor>(0x40).Flags);
    }

    [Fact]
    public void Addresses_inside_are_checked()
    {
        DmaBuffer buffer = _device.AllocateDma(4096);

        Assert.Equal(buffer.Start.Value + 0x123, buffer.AddressOf(0x123).Value);
        Assert.Equal(buffer.Start.Value + (ulong)buffer.Length, buffer.AddressOf(buffer.Length).Value);
        Assert.Throws<ArgumentOutOfRangeException>(() => buffer.AddressOf(buffer.Length + 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => buffer.AddressOf(-1));
    }

    [Fact]
    public void An_access_outside_is_an_argument_error()
    {
        DmaBuffer buffer = _device.AllocateDma(4096);
        long end = buffer.Length;

        Assert.Throws<ArgumentOutOfRangeException>(() => buffer.Read32(end - 2));
        Assert.Throws<ArgumentOutOfRangeException>(() => buffer.Write64(-8, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => buffer.Read(end - 1, new byte[2]));
        Assert.Throws<ArgumentOutOfRangeException>(() => buffer.Write(-1, new byte[2]));
        Assert.Throws<ArgumentOutOfRangeException>(() => buffer.Clear(8, end));
        Assert.Throws<ArgumentOutOfRangeException>(() => buffer.Clear(8, -1));
    }

    [Fact]
    public void Clearing_clears_exactly_its_range()
    {
        DmaBuffer buffer = _device.AllocateDma(4096);
        byte[] bytes = new byte[4096];
        Array.Fill(bytes, (byte)0xee);
        buffer.Write(0, bytes);

        buffer.Clear(3, 1500);

        buffer.Read(0, bytes);
        Assert.Equal(2596, bytes.Count(value => value == 0xee));
        Assert.All(bytes[3..1503], value => Assert.Equal(0, value));
    }

    [Fact]
    public void Disposing_unmaps_then_frees_and_the_address_is_used_again()
    {
        DmaBuffer buffer = _device.AllocateDma(4096);
        Iova start = buffer.Start;
        buffer.Dispose();
        buffer.Dispose();

        Assert.Empty(_fake.Mappings);
        Assert.Single(_fake.Log, line => line.StartsWith("unmap", StringComparison.Ordinal));
        Assert.Throws<ObjectDisposedException>(() => buffer.Read(0, new byte[1]));
        Assert.Equal(start, _device.AllocateDma(4096).Start);
    }

    [Fact]
    public void Memory_stays_while_the_device_refuses_to_unmap_it()
    {
        DmaBuffer buffer = _device.AllocateDma(4096);
        _fake.Refusal = Errno.NoDevice;
        buffer.Dispose();
        _fake.Refusal = Errno.None;

        Assert.Equal(Errno.None, _fake.Mappings[buffer.Start].Memory.Write(0, [1]));
        Assert.NotEqual(buffer.Start, _device.AllocateDma(4096).Start);
    }

    [Fact]
    public void A_refused_mapping_keeps_no_address()
    {
        _fake.Refusal = Errno.NoMemory;
        Assert.Equal(Errno.NoMemory, Assert.Throws<VfioException>(() => _device.AllocateDma(4096)).Errno);
        _fake.Refusal = Errno.None;

        Assert.Equal(IovaRange.Default[0].Start, _device.AllocateDma(4096).Start);
    }

    [Fact]
    public void The_widths_of_the_device_and_of_its_provider_are_kept()
    {
        FakeDevice fake = new() { IovaRanges = [IovaRange.Between(0xffff_0000, 0x1_0000_ffff)] };
        using PciDevice device = new(fake) { DmaAddressBits = 32 };

        Assert.Equal(0xffff_0000ul, device.AllocateDma(0x1_0000).Start.Value);
        Assert.Equal(Errno.NoSpace, Assert.Throws<VfioException>(() => device.AllocateDma(1)).Errno);
        device.DmaAddressBits = 64;
        Assert.Equal(0x1_0000_0000ul, device.AllocateDma(1).Start.Value);
    }

    [Fact]
    public void Devices_of_one_address_space_share_an_allocator()
    {
        IovaAllocator iovas = new(IovaRange.Default);
        using PciDevice other = new(new FakeDevice(), iovas);
        using PciDevice one = new(new FakeDevice(), iovas);

        Assert.NotEqual(one.AllocateDma(4096).Start, other.AllocateDma(4096).Start);
    }

    [Fact]
    public void Accesses_allocate_nothing()
    {
        DmaBuffer buffer = _device.AllocateDma(4096);
        Assert.Equal(0, Measure.Allocations(() =>
        {
            buffer.Write8(1, buffer.Read8(1));
            buffer.Write16(2, buffer.Read16(2));
            buffer.Write32(4, buffer.Read32(4));
            buffer.Write64(8, buffer.Read64(8));
            buffer.Write(0x10, buffer.Read<Descriptor>(0x20));
            buffer.Clear(0, 1000);
            _ = buffer.AddressOf(8);
        }));
    }

    [StructLayout(LayoutKind.Sequential, Pack = 1)]
    private struct Descriptor
    {
        public ulong Address;
        public ushort Length;
        public byte Flags;
    }
}
