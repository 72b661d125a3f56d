using System.Buffers.Binary;
using Vfio.Devices.Edu;
using Vfio.Native;

namespace Vfio.Tests.User;

/// <summary>DMA logging by DEVICE_FEATURE (16) and on DMA_UNMAP (3) at the socket: edu writes, the reports say where.</summary>
public sealed class DmaLoggingTests : IDisposable
{
    private const int Get = 0x10000, Set = 0x20000;
    private const ulong Base = 0x100000, Length = 0x80000;
    private readonly ClientOfServer _server = new(new EduFunction());
    private readonly RawPeer _peer;
    private readonly SharedMemory _memory = SharedMemory.Create("guest", Length);

    public DmaLoggingTests()
    {
        _peer = _server.ConnectRaw();
        Assert.Empty(_peer.Ask(2, [32, 3, 0ul, Base, Length], _memory.File).Success);
        Assert.NotEmpty(_peer.Ask(10, [4ul, 7, 2, (ushort)0x0006]).Success);
    }

    public void Dispose()
    {
        _peer.Dispose();
        _server.Dispose();
        _memory.Dispose();
    }

    [Fact]
    public void Start_says_which_page_size_it_took_and_stop_is_echoed()
    {
        Assert.Equal(RawPeer.Bytes(40, 6 | Set, 0x1000ul, 1, 0, Base, Length), Start(0x10000, [Base, Length]).Success);
        Assert.Equal(22u, Start(0x1000).Refusal);
        Assert.Equal(RawPeer.Bytes(8, 7 | Set), _peer.Ask(16, [8, 7 | Set]).Success);
        Assert.Equal(22u, Report(Base, Length, 0x1000).Refusal);
        Assert.Equal(RawPeer.Bytes(24, 6 | Set, 0x1000ul, 0, 0), Start(0x1000).Success);
    }

    [Theory]
    [InlineData(0x1000ul, 0b1000_0000_0000_1100ul)]
    [InlineData(0x2000ul, 0b1000_0010ul)]
    [InlineData(0x4000ul, 0b1001ul)]
    [InlineData(0x80000ul, 0b1ul)]
    [InlineData(0x100000000ul, 0b1ul)]
    public void A_report_is_the_request_and_a_bit_for_each_page_that_was_written(ulong pageBytes, ulong bits)
    {
        Write(Base + 0x1000);
        Start(0x1000);
        Write(Base + 0x2ffc);
        Write(Base + 0xf000);
        byte[] words = new byte[Math.Max(8, Length / pageBytes / 64 * 8)];
        BinaryPrimitives.WriteUInt64LittleEndian(words, bits);
        Assert.Equal(RawPeer.Bytes(32 + words.Length, 8 | Get, Base, Length, pageBytes, words), Report(Base, Length, pageBytes).Success);
        Assert.All(Report(Base, Length, pageBytes).Success[32..], value => Assert.Equal(0, value));
    }

    private static readonly object[][] Malformed =
    [
        [40, 8 | Get],
        [40, 8 | Get, Base, Length],
        [39, 8 | Get, Base, 0x1000ul, 0x1000ul],
        [47, 8 | Get, Base, Length, 0x1000ul],
        [40, 8 | Get, Base, 0ul, 0x1000ul],
        [40, 8 | Get, Base, 0x1000ul, 0ul],
        [40, 8 | Get, Base, 0x1000ul, 0x1800ul],
        [40, 8 | Get, 0xfffffffffffff000ul, 0x2000ul, 0x1000ul],
        [0xffffffffu, 8 | Get, 0ul, 0xffffffffffffffffUL, 0x1000ul], // a bitmap of 2^49 bytes
        [0xffffffffu, 8 | Get, 0ul, 0x800001000ul, 0x1000ul], // one bit more than a message takes
    ];

    [Fact]
    public void A_malformed_report_replies_EINVAL_and_clears_nothing()
    {
        Start(0x1000);
        Write(Base);
        Assert.All(Malformed, fields => Assert.Equal(22u, _peer.Ask(16, fields).Refusal));
        Assert.Equal(1ul, Report(Base, 0x1000, 0x1000).U64(32));
    }

    [Fact]
    public void The_longest_report_that_fits_a_message_works()
    {
        Start(0x1000);
        Write(Base);
        byte[] body = _peer.Ask(16, [0x100020, 8 | Get, 0ul, 0x800000000ul, 0x1000ul]).Success;
        Assert.Equal(0x100020, body.Length);
        Assert.Equal(1, body[32 + (int)(Base / 0x1000 / 8)]);
    }

    [Fact]
    public void An_unmap_with_the_bitmap_flag_unmaps_and_reports()
    {
        Start(0x1000);
        Write(Base + 0x5000);
        byte[] reply = _peer.Ask(3, [24 + 16 + 16, 1, Base, Length, 0x1000ul, 16ul]).Success;
        Assert.Equal(RawPeer.Bytes(56, 1, Base, Length, 0x1000ul, 16ul, 0b10_0000ul, 0ul), reply);
        Assert.Equal(2u, _peer.Ask(3, [24 + 16 + 16, 1, Base, Length, 0x1000ul, 16ul]).Refusal);
        Write(Base + 0x5000); // and nothing is written any more
        Assert.Equal(0ul, Report(Base, Length, 0x1000).U64(32));
    }

    [Fact]
    public void Pages_that_were_unmapped_without_a_report_are_reported_later()
    {
        Start(0x1000);
        Write(Base);
        Assert.NotEmpty(_peer.Ask(3, [24, 0, Base, Length]).Success);
        Assert.Equal(1ul, Report(Base, 0x1000, 0x1000).U64(32));
    }

    private static readonly (object[] Fields, uint Errno)[] BadUnmaps =
    [
        ([56, 1, Base, Length], 22),
        ([56, 1, Base, Length, 0x1000ul], 22),
        ([55, 1, Base, Length, 0x1000ul, 16ul], 22),
        ([56, 1, Base, Length, 0x1000ul, 8ul], 22),
        ([56, 1, Base, Length, 0x1000ul, 12ul], 22),
        ([56, 1, Base, Length, 0x1001ul, 16ul], 22),
        ([56, 1, Base, Length, 0ul, 16ul], 22),
        ([0xffffffffu, 1, Base, Length, 0x1000ul, 0xfffffffffffffff8ul], 22),
        ([0xffffffffu, 1, Base, Length, 0x1000ul, 0x100008ul], 22),
        ([56, 1, Base + 0x1000, Length, 0x1000ul, 16ul], 2),
        ([56, 1, Base, 0x1000ul, 0x1000ul, 16ul], 22),
        ([56, 1, Base, 0ul, 0x1000ul, 16ul], 22),
        ([56, 3, Base, Length, 0x1000ul, 16ul], 22),
    ];

    [Fact]
    public void A_malformed_unmap_with_bitmap_is_refused_and_unmaps_nothing()
    {
        Assert.Equal(22u, _peer.Ask(3, [56, 1, Base, Length, 0x1000ul, 16ul]).Refusal); // not started
        Start(0x1000);
        Assert.All(BadUnmaps, bad => Assert.Equal(bad.Errno, _peer.Ask(3, bad.Fields).Refusal));
        Write(Base);
        Assert.Equal(1ul, Report(Base, 0x1000, 0x1000).U64(32));
    }

    private RawPeer.Reply Start(ulong pageBytes, params ulong[] ranges) => _peer.Ask(
        16, [24 + (8 * ranges.Length), 6 | Set, pageBytes, ranges.Length / 2, 0, .. ranges.Select(value => (object)value)]);

    private RawPeer.Reply Report(ulong start, ulong length, ulong pageBytes) => _peer.Ask(16, [4096, 8 | Get, start, length, pageBytes]);

    /// <summary>Lets edu write 8 bytes of its buffer, and waits for it.</summary>
    private void Write(ulong address)
    {
        object[][] registers = [[0x80ul, 0, 8, 0x40000ul], [0x88ul, 0, 8, address], [0x90ul, 0, 8, 8ul], [0x98ul, 0, 8, 3ul]];
        foreach (object[] register in registers)
            Assert.NotEmpty(_peer.Ask(10, register).Success);
        Assert.True(SpinWait.SpinUntil(() => (_peer.Ask(9, [0x98ul, 0, 8]).U64(16) & 1) == 0, HangGuard.Timeout));
    }
}
