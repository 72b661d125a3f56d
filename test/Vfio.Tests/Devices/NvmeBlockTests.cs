using System.Buffers.Binary;
using System.Security.Cryptography;
using Vfio.Devices.Nvme;

namespace Vfio.Tests.Devices;

/// <summary>I/O commands beyond read and write, against NVM Command Set Specification 1.0, section 3.2, and SGLs.</summary>
public sealed class NvmeBlockTests : IDisposable
{
    private const byte WriteUncorrectable = 0x04, Compare = 0x05, WriteZeroes = 0x08, DatasetManagement = 0x09, Verify = 0x0c;
    private const byte FormatNvm = 0x80, Sanitize = 0x84, GetLogPage = 0x02;
    private const int Data = NvmeRig.Data, Blocks = 2048;
    private const byte First = 1, Second = 2, WithSgl = 0x40;
    private readonly FakeStorage _storage = new();
    private readonly SlotRig _nvme;

    public NvmeBlockTests()
    {
        _nvme = new SlotRig(new NvmeFunction(_storage));
        _nvme.Enable();
        _nvme.CreatePair(1);
        _nvme.CreatePair(2);
        _nvme.Poke(Data, [.. Enumerable.Repeat((byte)0xa5, 0x2000)]);
        Assert.Equal(0, _nvme.Range(1, NvmeRig.Write, 0, 16, Data, Data + 0x1000));
    }

    public void Dispose() => _nvme.Dispose();

    [Theory]
    [InlineData(0u, "zero")]
    [InlineData(1u << 25, "discard")]
    public void Write_Zeroes_makes_zeros_and_gives_their_place_back_when_asked(uint deallocate, string how)
    {
        Assert.Equal(0, _nvme.Range(1, WriteZeroes, 2, 4, prp1: 0, dword12: deallocate));
        Assert.Equal(how, _storage.Log.Last());
        AssertZeros(from: 2, to: 6);
        Assert.Equal(0x080, _nvme.Range(1, WriteZeroes, Blocks - 1, 2, prp1: 0));
    }

    [Fact]
    public void Dataset_Management_gives_back_all_ranges_or_none()
    {
        PutRanges((1, 2), (8, 0), (12, 3));
        Assert.Equal(0, Manage(3, deallocate: true));
        AssertZeros(1, 3);
        AssertZeros(12, 15);
        Assert.Equal(2, _storage.Log.Count(one => one == "discard"));
        PutRanges((4, 1), (Blocks, 1));
        Assert.Equal(0x080, Manage(2, deallocate: true));
        PutRanges((4, 1));
        Assert.Equal(0, Manage(1, deallocate: false)); // a hint
        Assert.Equal(2, _storage.Log.Count(one => one == "discard"));
    }

    [Fact]
    public void Blocks_made_uncorrectable_cannot_be_read_until_they_are_written()
    {
        Assert.Equal(0, _nvme.Range(1, WriteUncorrectable, 4, 4, prp1: 0));
        Assert.Equal(0x281, _nvme.Range(1, NvmeRig.Read, 3, 2));
        Assert.Equal(0x281, _nvme.Range(1, Verify, 7, 1, prp1: 0));
        Assert.Equal(0x281, _nvme.Range(1, Compare, 4, 1));
        Assert.Equal(0, _nvme.Range(1, NvmeRig.Read, 0, 4));
        Assert.Equal(0, _nvme.Range(1, NvmeRig.Write, 5, 2));
        Assert.Equal(0, _nvme.Range(1, NvmeRig.Read, 5, 2));
        Assert.Equal(0x281, _nvme.Range(1, NvmeRig.Read, 4, 1));
        Assert.Equal(0x281, _nvme.Range(1, NvmeRig.Read, 7, 1));
        Assert.Equal(0, _nvme.Range(1, WriteZeroes, 4, 4, prp1: 0));
        Assert.Equal(0, _nvme.Range(1, NvmeRig.Read, 4, 4));
    }

    [Fact]
    public void Ranges_of_uncorrectable_blocks_are_limited()
    {
        for (int i = 0; i < 1024; i++)
            Assert.Equal(0, _nvme.Range(1, WriteUncorrectable, (ulong)(2 * i), 1, prp1: 0));
        Assert.Equal(0x006, _nvme.Range(1, WriteUncorrectable, 1, 1, prp1: 0));
        Assert.Equal(0, _nvme.Range(1, NvmeRig.Write, 2, 1));
        Assert.Equal(0, _nvme.Range(1, WriteUncorrectable, 1, 1, prp1: 0));
    }

    [Fact]
    public void Compare_finds_what_is_the_same_and_what_is_not()
    {
        Assert.Equal(0, _nvme.Range(1, Compare, 0, 16, Data, Data + 0x1000));
        _nvme.Poke(Data + 0x1fff, [0]);
        Assert.Equal(0x285, _nvme.Range(1, Compare, 0, 16, Data, Data + 0x1000));
        Assert.Equal(0, _nvme.Range(1, Verify, 0, Blocks, prp1: 0));
        _storage.ReadError = Errno.InputOutput;
        Assert.Equal(0x281, _nvme.Range(1, Verify, 0, 1, prp1: 0));
        Assert.Equal(0x281, _nvme.Range(1, Compare, 0, 1));
    }

    [Theory]
    [InlineData(true, 0x000, 0x000)]
    [InlineData(false, 0x285, 0x009)]
    public void A_fused_write_is_done_when_its_compare_succeeds(bool isSame, int compared, int written)
    {
        _nvme.Poke(Data + 0x4000, [.. Enumerable.Repeat((byte)(isSame ? 0xa5 : 0x00), 512)]);
        _nvme.Poke(Data + 0x5000, [.. Enumerable.Repeat((byte)0x77, 512)]);
        ushort compare = _nvme.Submit(1, Compare, Data + 0x4000, 3, 0, 0, space: 1, flags: First, isRung: false);
        ushort write = _nvme.Submit(1, NvmeRig.Write, Data + 0x5000, 3, 0, 0, space: 1, flags: Second);
        Assert.Equal((compare, compared, 0u), _nvme.Take(1));
        Assert.Equal((write, written, 0u), _nvme.Take(1));
        Assert.Equal(0, _nvme.Range(1, NvmeRig.Read, 3, 1, Data + 0x6000));
        Assert.Equal(isSame ? 0x77 : 0xa5, _nvme.Peek(Data + 0x6000, 1)[0]);
    }

    [Fact]
    public void Halves_of_a_fused_pair_alone_or_that_do_not_fit_are_refused()
    {
        Assert.Equal(0x00a, _nvme.Range(1, Compare, 0, 1, flags: First));
        Assert.Equal(0x00a, _nvme.Range(1, NvmeRig.Write, 0, 1, flags: Second));
        Assert.Equal(0x002, _nvme.Range(1, NvmeRig.Write, 0, 1, flags: 3));
        _nvme.Submit(1, Compare, Data, 3, 0, 0, space: 1, flags: First, isRung: false);
        _nvme.Submit(1, NvmeRig.Write, Data, 4, 0, 0, space: 1, flags: Second);
        Assert.Equal((0x002, 0x009), (_nvme.Take(1).Status, _nvme.Take(1).Status));
        _nvme.Submit(1, Compare, Data, 3, 0, 0, space: 1, flags: First, isRung: false);
        _nvme.Submit(1, NvmeRig.Read, Data, 3, 0, 0, space: 1);
        Assert.Equal((0x00a, 0x000), (_nvme.Take(1).Status, _nvme.Take(1).Status));
    }

    [Fact]
    public void Fused_pairs_of_two_queues_lose_no_increment()
    {
        const int Increments = 200;
        _nvme.Poke(Data, new byte[512]);
        Assert.Equal(0, _nvme.Range(1, NvmeRig.Write, 100, 1));
        for (int done = 0; done < Increments;)
        {
            byte[] now = new byte[512];
            BinaryPrimitives.WriteInt32LittleEndian(now, done);
            byte[] next = new byte[512];
            BinaryPrimitives.WriteInt32LittleEndian(next, done + 1);
            for (int queue = 1; queue <= 2; queue++)
            {
                _nvme.Poke(Data + (0x4000 * queue), now);
                _nvme.Poke(Data + (0x4000 * queue) + 0x1000, next);
                _nvme.Submit(queue, Compare, (ulong)(Data + (0x4000 * queue)), 100, 0, 0, space: 1, flags: First, isRung: false);
                _nvme.Submit(queue, NvmeRig.Write, (ulong)(Data + (0x4000 * queue) + 0x1000), 100, 0, 0, space: 1, flags: Second);
            }

            int[] statuses = [_nvme.Take(1).Status, _nvme.Take(1).Status, _nvme.Take(2).Status, _nvme.Take(2).Status];
            Assert.Equal(new[] { 0, 0, 0x009, 0x285 }, statuses.Order()); // one of two wins
            done++;
        }

        Assert.Equal(0, _nvme.Range(1, NvmeRig.Read, 100, 1));
        Assert.Equal(Increments, (int)_nvme.Peek32(Data));
    }

    [Fact]
    public void Data_goes_through_an_SGL_of_any_shape()
    {
        byte[] sent = RandomNumberGenerator.GetBytes(4096);
        _nvme.Poke(Data + 0x3001, sent.AsSpan(0, 1000));
        _nvme.Poke(Data + 0x5003, sent.AsSpan(1000, 3));
        _nvme.Poke(Data + 0x7000, sent.AsSpan(1003));

        // A segment of two descriptors, the second of which leads to the last segment.
        PutDescriptor(Data + 0x8000, Data + 0x3001, 1000, 0x00);
        PutDescriptor(Data + 0x8010, Data + 0x9000, 32, 0x30);
        PutDescriptor(Data + 0x9000, Data + 0x5003, 3, 0x00);
        PutDescriptor(Data + 0x9010, Data + 0x7000, 3093, 0x00);
        Assert.Equal(0, WriteBySgl(Data + 0x8000, 32, 0x20));
        Assert.Equal(0, _nvme.Range(1, NvmeRig.Read, 40, 8, Data + 0xa000));
        Assert.Equal(sent, _nvme.Peek(Data + 0xa000, 4096));
        Assert.Equal(0, WriteBySgl(Data + 0xa000, 4096, 0x00));
    }

    /// <summary>Base Specification 2.0, section 4.1.2, and the statuses of figure 94.</summary>
    [Theory]
    [InlineData(4095, 0x00, 0x00f)]   // a data block that is too short
    [InlineData(4097, 0x00, 0x00f)]   // and too long
    [InlineData(16, 0x10, 0x011)]     // a bit bucket, which SGLS does not have
    [InlineData(16, 0x01, 0x011)]     // an address that is an offset
    [InlineData(16, 0x40, 0x011)]     // a keyed data block
    [InlineData(0, 0x30, 0x00d)]      // an empty segment
    [InlineData(24, 0x30, 0x00d)]     // not whole descriptors
    [InlineData(32, 0x20, 0x00d)]     // a segment that is not the last and leads nowhere
    [InlineData(16, 0x30, 0x00f)]     // not enough data
    [InlineData(0x20000, 0x30, 0x00e)] // 8192 descriptors
    public void An_SGL_that_makes_no_sense_is_refused(uint length, byte type, int status)
    {
        PutDescriptor(Data + 0x8000, Data, 2048, 0x00);
        PutDescriptor(Data + 0x8010, Data, 2048, 0x00);
        Assert.Equal(status, WriteBySgl(Data + 0x8000, length, type));
    }

    [Fact]
    public void Segments_that_lead_in_a_circle_come_to_an_end()
    {
        PutDescriptor(Data + 0x8000, Data, 0, 0x00);
        PutDescriptor(Data + 0x8010, Data + 0x8000, 32, 0x20);
        Assert.Equal(0x00e, WriteBySgl(Data + 0x8000, 32, 0x20));
        Assert.Equal(0, _nvme.Io(1, NvmeRig.Read));
    }

    [Fact]
    public void Format_makes_zeros_and_blocks_of_another_size()
    {
        Assert.Equal(0, _nvme.Admin(FormatNvm, dword10: 1, space: 1).Status);
        Assert.Equal(0, _nvme.Admin(0x06, Data, 0, space: 1).Status);
        Assert.Equal((Blocks / 8ul, 1), (_nvme.Peek64(Data), _nvme.Peek(Data + 26, 1)[0]));
        Assert.Equal(0, _nvme.Range(1, NvmeRig.Read, 0, 1));
        Assert.Equal(new byte[4096], _nvme.Peek(Data, 4096));
        Assert.Equal(0x080, _nvme.Range(1, NvmeRig.Read, Blocks / 8, 1));
        Assert.Equal(0x10a, _nvme.Admin(FormatNvm, dword10: 2, space: 1).Status);
        Assert.Equal(0x10a, _nvme.Admin(FormatNvm, dword10: 0x20, space: 1).Status);  // protection information
        Assert.Equal(0x002, _nvme.Admin(FormatNvm, dword10: 0x400, space: 1).Status); // cryptographic erase
        Assert.Equal(0x00b, _nvme.Admin(FormatNvm, space: 9).Status);
        Assert.Equal(0, _nvme.Admin(FormatNvm, dword10: 0x200, space: 0xffff_ffff).Status);
        Assert.Equal(0x080, _nvme.Range(1, NvmeRig.Read, Blocks, 1));
    }

    [Fact]
    public void While_a_format_is_under_way_commands_for_blocks_are_refused_and_others_are_done()
    {
        _storage.Hang("zero");
        ushort format = _nvme.BeginAdmin(FormatNvm, space: 1);
        NvmeRig.WaitUntil(() => _storage.Log.Contains("zero hangs"));
        Assert.Equal(0x084, _nvme.Io(1, NvmeRig.Read));
        Assert.Equal(0x084, _nvme.Admin(FormatNvm, space: 1).Status);
        _storage.Release("zero");
        Assert.Equal((format, 0, 0u), _nvme.Take(0));
        Assert.Equal(0, _nvme.Io(1, NvmeRig.Read));
    }

    [Fact]
    public void A_format_that_a_reset_leaves_behind_is_over_before_the_next_driver_writes()
    {
        _storage.Hang("zero");
        _nvme.BeginAdmin(FormatNvm, space: 1);
        NvmeRig.WaitUntil(() => _storage.Log.Contains("zero hangs"));
        _nvme.Reset();
        _nvme.Enable();
        _nvme.CreatePair(1);
        _nvme.Poke(Data, [.. Enumerable.Repeat((byte)0x3c, 512)]);
        _nvme.Begin(1, NvmeRig.Write);
        Assert.Equal(0, _nvme.Admin(0x06, Data + 0x1000, 1).Status);
        Assert.False(_nvme.IsCompleted(1));
        _storage.Release("zero");
        Assert.Equal(0, _nvme.Take(1).Status);
        Assert.Equal(0, _nvme.Io(1, NvmeRig.Read));
        Assert.Equal(0x3c, _nvme.Peek(Data, 1)[0]);
    }

    [Fact]
    public void A_format_that_a_reset_leaves_behind_changes_no_block_size()
    {
        _storage.Hang("zero");
        _nvme.BeginAdmin(FormatNvm, dword10: 1, space: 1);
        NvmeRig.WaitUntil(() => _storage.Log.Contains("zero hangs"));
        _nvme.Reset();
        _nvme.Enable();
        _nvme.CreatePair(1);
        _nvme.Begin(1, NvmeRig.Write);
        _storage.Release("zero");
        Assert.Equal(0, _nvme.Take(1).Status);
        Assert.Equal(0, _nvme.Admin(0x06, Data, 0, space: 1).Status);
        Assert.Equal((ulong)Blocks, _nvme.Peek64(Data));
    }

    [Fact]
    public void A_format_comes_after_the_writes_that_have_begun_and_is_durable()
    {
        _storage.Hang("write");
        _nvme.Begin(1, NvmeRig.Write);
        NvmeRig.WaitUntil(() => _storage.Log.Contains("write hangs"));
        ushort format = _nvme.BeginAdmin(FormatNvm, dword10: 1, space: 1);
        ushort identify = _nvme.BeginAdmin(0x06, Data, 1);
        Assert.Equal(identify, _nvme.Take(0).Id);
        _storage.Release("write");
        Assert.Equal((format, 0, 0u), _nvme.Take(0));
        Assert.Equal(["write", "discard", "flush"], _storage.Log.TakeLast(3));
    }

    [Fact]
    public void Without_holes_zeros_are_written_and_a_hint_is_not_taken()
    {
        _storage.HasHoles = false;
        int before = _storage.Log.Count;
        PutRanges((1, 2));
        Assert.Equal(0, Manage(1, deallocate: true));
        Assert.Equal(before, _storage.Log.Count);
        Assert.Equal(0, _nvme.Range(1, WriteZeroes, 2, 4, prp1: 0));
        AssertZeros(from: 2, to: 6);
        Assert.Equal(0, _nvme.Admin(FormatNvm, space: 1).Status);
        AssertZeros(from: 1, to: 15, marker: 0);
    }

    /// <summary>Base Specification 2.0, figure 216: results 4h and 9h.</summary>
    [Theory]
    [InlineData(FormatNvm, 0u, 0x24)]
    [InlineData(Sanitize, 2u, 0x29)]
    public void What_erases_ends_a_self_test(byte opcode, uint dword10, byte result)
    {
        _storage.Hang("read");
        Assert.Equal(0, _nvme.Admin(0x14, dword10: 2, space: 1).Status);
        NvmeRig.WaitUntil(() => _storage.Log.Contains("read hangs"));
        _nvme.BeginAdmin(opcode, dword10: dword10, space: 1);
        if (opcode == Sanitize)
            Assert.Equal(0, _nvme.Take(0).Status);
        Assert.Equal(0, _nvme.Admin(GetLogPage, Data, 0x007f_0006).Status);
        Assert.Equal((0, result), (_nvme.Peek(Data, 1)[0], _nvme.Peek(Data + 4, 1)[0]));
        _storage.Release("read");
    }

    [Fact]
    public void A_refused_mark_leaves_others_and_a_write_does_not_split_them_without_end()
    {
        NvmeBadBlocks blocks = new();
        for (int i = 0; i < NvmeBadBlocks.MaxRanges - 1; i++)
            Assert.True(blocks.TryAdd(10 * i, 2));
        Assert.True(blocks.TryAdd(100_000, 100));
        Assert.False(blocks.TryAdd(100_050, 200));
        Assert.True(blocks.Overlap(100_050, 1));
        Assert.False(blocks.CanRemove(100_010, 10));
        Assert.True(blocks.CanRemove(100_000, 10));
        Assert.True(blocks.CanRemove(0, 2));
    }

    [Fact]
    public void A_sanitize_erases_all_even_when_a_reset_comes_in_between()
    {
        Assert.Equal(0x002, _nvme.Admin(Sanitize, dword10: 4).Status); // cryptographic erase
        _storage.Hang("zero");
        Assert.Equal(0, _nvme.Admin(Sanitize, dword10: 2).Status);
        NvmeRig.WaitUntil(() => _storage.Log.Contains("zero hangs"));
        Assert.Equal(0x01d, _nvme.Io(1, NvmeRig.Read));
        Assert.Equal(0x01d, _nvme.Admin(FormatNvm, space: 1).Status);
        Assert.Equal(2, Status());
        _nvme.Reset();
        _storage.Release("zero");
        _nvme.Enable();
        _nvme.CreatePair(1);
        NvmeRig.WaitUntil(() => Status() == 1);
        Assert.Equal(0, _nvme.Range(1, NvmeRig.Read, 0, 16, Data, Data + 0x1000));
        Assert.Equal(new byte[0x2000], _nvme.Peek(Data, 0x2000));
    }

    [Fact]
    public void A_sanitize_that_fails_refuses_data_until_another_succeeds()
    {
        _storage.WriteError = Errno.InputOutput;
        Assert.Equal(0, _nvme.Admin(Sanitize, dword10: 2).Status);
        NvmeRig.WaitUntil(() => Status() == 3);
        Assert.Equal(0x01c, _nvme.Io(1, NvmeRig.Read));
        Assert.Equal(0x01c, _nvme.Admin(Sanitize, dword10: 1).Status); // not allowed without AUSE
        Assert.Equal(0x01c, _nvme.Admin(Sanitize, dword10: 10).Status); // nor one with it after one without
        _storage.WriteError = Errno.None;
        Assert.Equal(0, _nvme.Admin(Sanitize, dword10: 2).Status);
        NvmeRig.WaitUntil(() => Status() == 1);
        Assert.Equal(0, _nvme.Io(1, NvmeRig.Read));
    }

    private int Status()
    {
        Assert.Equal(0, _nvme.Admin(GetLogPage, Data + 0x20000, 0x007f_0081).Status);
        return _nvme.Peek(Data + 0x20002, 1)[0] & 7;
    }

    private int WriteBySgl(int at, uint length, byte type)
    {
        ulong second = length | (ulong)type << 56;
        return _nvme.Range(1, NvmeRig.Write, 40, 8, (ulong)at, second, flags: WithSgl);
    }

    private void PutDescriptor(int at, int address, uint length, byte type)
    {
        byte[] descriptor = new byte[16];
        BinaryPrimitives.WriteInt64LittleEndian(descriptor, address);
        BinaryPrimitives.WriteUInt32LittleEndian(descriptor.AsSpan(8), length);
        descriptor[15] = type;
        _nvme.Poke(at, descriptor);
    }

    private void PutRanges(params (ulong Block, uint Count)[] ranges)
    {
        for (int i = 0; i < ranges.Length; i++)
        {
            byte[] range = new byte[16];
            BinaryPrimitives.WriteUInt32LittleEndian(range.AsSpan(4), ranges[i].Count);
            BinaryPrimitives.WriteUInt64LittleEndian(range.AsSpan(8), ranges[i].Block);
            _nvme.Poke(Data + 0x3000 + (16 * i), range);
        }
    }

    private int Manage(int ranges, bool deallocate)
    {
        _nvme.Submit(1, DatasetManagement, Data + 0x3000, (uint)ranges - 1, deallocate ? 4u : 0, 0, space: 1);
        return _nvme.Take(1).Status;
    }

    private void AssertZeros(int from, int to, byte marker = 0xa5)
    {
        Assert.Equal(0, _nvme.Range(1, NvmeRig.Read, 0, 16, Data + 0x4000, Data + 0x5000));
        byte[] read = _nvme.Peek(Data + 0x4000, 0x2000);
        for (int block = from - 1; block <= to; block++)
        {
            bool isZero = block >= from && block < to;
            Assert.Equal(isZero ? 0 : marker, read[512 * block]);
        }
    }
}
