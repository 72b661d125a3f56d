using System.Buffers.Binary;
using Vfio.Devices.Bench;
using Vfio.Native;
using Xunit;

namespace Vfio.Tests.Devices;

/// <summary>The registers of interface VUB1, by the numbers of its table.</summary>
public sealed class BenchCoreTests
{
    private readonly BenchCore _core = new();

    [Fact]
    public void The_first_four_bytes_spell_the_name_and_writes_of_them_do_not_last()
    {
        _core.Write(0, new byte[16]);
        byte[] head = new byte[8];
        _core.Read(0, head);
        Assert.Equal([.. "VUB1"u8, 1, 0, 0, 0], head);
    }

    [Fact]
    public void Bytes_without_a_register_are_memory_at_any_offset_and_width()
    {
        byte[] sent = [1, 2, 3, 4, 5, 6, 7];
        _core.Write(0x101, sent);
        byte[] received = new byte[7];
        _core.Read(0x101, received);
        Assert.Equal(sent, received);
    }

    [Fact]
    public void Each_write_counts_once_and_a_write_of_the_count_does_not_change_it()
    {
        _core.Write(0x08, new byte[4]);
        _core.Write(0x100, new byte[256]);
        _core.Write(0x50, [9, 9, 9, 9, 9, 9, 9, 9]);
        byte[] count = new byte[8];
        _core.Read(0x50, count);
        Assert.Equal(3ul, BinaryPrimitives.ReadUInt64LittleEndian(count));
    }

    [Theory]
    [InlineData(0x10, 4, nameof(BenchEffects.Signal))]
    [InlineData(0x10, 2, nameof(BenchEffects.None))]
    [InlineData(0x10, 8, nameof(BenchEffects.None))]
    [InlineData(0x0c, 8, nameof(BenchEffects.None))]
    [InlineData(0x28, 4, nameof(BenchEffects.Move))]
    [InlineData(0x28, 8, nameof(BenchEffects.None))]
    [InlineData(0x29, 4, nameof(BenchEffects.None))]
    [InlineData(0x20, 16, nameof(BenchEffects.None))]
    public void A_register_acts_only_on_a_write_of_its_width_at_its_offset(ulong offset, int count, string effects) =>
        Assert.Equal(effects, _core.Write(offset, new byte[count]).ToString());

    [Theory]
    [InlineData(1, 1, 0)]
    [InlineData(6, 0x10_0000, 1_000_000)]
    public void Numbers_at_the_end_of_their_range_are_taken(uint operation, ulong length, uint repeats) =>
        Assert.Equal(Errno.None, Ask(operation, length, repeats).Verdict);

    [Theory]
    [InlineData(0, 64, 1)]
    [InlineData(7, 64, 1)]
    [InlineData(1, 0, 1)]
    [InlineData(1, 0x10_0001, 1)]
    [InlineData(1, 64, 1_000_001)]
    public void Numbers_out_of_their_range_are_EINVAL(uint operation, ulong length, uint repeats) =>
        Assert.Equal(Errno.InvalidArgument, Ask(operation, length, repeats).Verdict);

    [Fact]
    public void Repeats_walk_by_the_stride_and_wrap_at_the_span()
    {
        BenchTransfer transfer = new(BenchOperation.Translate, Address: 0, Length: 1, Repeats: 5, Stride: 0x3000, Span: 0x8000);
        ulong[] walked = new ulong[5];
        for (int i = 1; i < walked.Length; i++)
            walked[i] = transfer.After(walked[i - 1]);
        Assert.Equal([0, 0x3000, 0x6000, 0x1000, 0x4000], walked);
        Assert.Equal(0ul, (transfer with { Span = 0 }).After(0));
    }

    [Fact]
    public void Reset_clears_registers_memory_and_the_count()
    {
        _core.Write(0x08, [1, 2, 3, 4]);
        _core.Write(0x800, [1]);
        _core.Reset();
        byte[] all = new byte[0x1000];
        _core.Read(0, all);
        Assert.Equal([.. "VUB1"u8, 1, 0, 0, 0], all[..8]);
        Assert.All(all[8..], value => Assert.Equal(0, value));
    }

    private BenchTransfer Ask(uint operation, ulong length, uint repeats)
    {
        Write(0x20, BitConverter.GetBytes(length));
        Write(0x40, BitConverter.GetBytes(repeats));
        Write(0x28, BitConverter.GetBytes(operation));
        return _core.Transfer;
    }

    private void Write(ulong offset, byte[] value) => _core.Write(offset, value);
}
