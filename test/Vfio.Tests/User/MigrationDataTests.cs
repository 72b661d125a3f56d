using Vfio.Devices.Edu;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>MIG_DATA_READ (17) and MIG_DATA_WRITE (18) at the socket.</summary>
public sealed class MigrationDataTests : IDisposable
{
    private const int Stop = 1, Running = 2, StopCopy = 3, Resuming = 4, PreCopy = 6;
    private readonly ClientOfServer _server = new(new EduFunction());
    private readonly RawPeer _peer;

    public MigrationDataTests() => _peer = _server.ConnectRaw();

    public void Dispose()
    {
        _peer.Dispose();
        _server.Dispose();
    }

    [Fact]
    public void Data_ends_with_fewer_bytes_than_asked_for_and_then_none()
    {
        SetState(StopCopy);
        byte[] body = _peer.Ask(17, [8 + 0x10000, 0x10000]).Success;
        uint size = BitConverter.ToUInt32(body, 4);
        Assert.InRange(size, 4096u + 256u, 0xffffu); // at least the buffer and config space
        Assert.Equal(8 + (int)size, body.Length);
        Assert.Equal(8 + size, BitConverter.ToUInt32(body, 0));
        Assert.Equal(RawPeer.Bytes(8, 0), _peer.Ask(17, [8 + 64, 64]).Success);
    }

    [Fact]
    public void Pieces_of_any_size_are_the_same_data()
    {
        byte[] whole = ReadState(_peer, 0x10000);
        SetState(Stop);
        Assert.Equal(whole, ReadState(_peer, 7));
    }

    [Fact]
    public void What_was_written_continues_at_the_other_device()
    {
        Write(0x04, 0x12345678);
        byte[] state = ReadState(_peer, 1000);
        using ClientOfServer other = new(new EduFunction());
        using RawPeer peer = other.ConnectRaw();
        SetState(Resuming, peer);
        for (int at = 0; at < state.Length; at += 999)
        {
            byte[] piece = state[at..Math.Min(at + 999, state.Length)];
            Assert.Empty(peer.Ask(18, [8 + piece.Length, piece.Length, piece]).Success);
        }

        SetState(Running, peer);
        Assert.Equal(~0x12345678u, peer.Ask(9, [0x04ul, 0, 4]).U32(16));
    }

    [Fact]
    public void Pre_copy_returns_the_part_that_can_be_sent_early_and_the_rest_follows()
    {
        SetState(PreCopy);
        byte[] ahead = Read(_peer, 0x10000);
        Assert.NotEmpty(ahead);
        Assert.Empty(Read(_peer, 0x10000));
        SetState(StopCopy);
        byte[] rest = Read(_peer, 0x10000);
        SetState(Stop);
        byte[] both = [.. ahead, .. rest];
        Assert.Equal(ReadState(_peer, 0x10000), both);
    }

    [Theory]
    [InlineData(Stop)]
    [InlineData(Running)]
    [InlineData(Resuming)]
    public void There_is_nothing_to_read_in_other_states(int state)
    {
        SetState(state);
        Assert.Equal(22u, _peer.Ask(17, [72, 64]).Refusal);
    }

    [Theory]
    [InlineData(Stop)]
    [InlineData(Running)]
    [InlineData(StopCopy)]
    [InlineData(PreCopy)]
    public void Nothing_is_written_in_other_states(int state)
    {
        SetState(state);
        Assert.Equal(22u, _peer.Ask(18, [16, 8, 0ul]).Refusal);
    }

    private static readonly object[][] MalformedReads =
        [[], [8], [71, 64], [72, 0x100001], [72, 0xfffffff8u], [0xffffffffu, 0xffffffffu]];

    [Fact]
    public void A_malformed_read_replies_EINVAL()
    {
        SetState(StopCopy);
        Assert.All(MalformedReads, fields => Assert.Equal(22u, _peer.Ask(17, fields).Refusal));
        Assert.NotEmpty(Read(_peer, 64));
    }

    private static readonly object[][] MalformedWrites =
        [[], [16], [16, 9, 0ul], [16, 7, 0ul], [7, 8, 0ul], [16, 0xffffffffu, 0ul], [16, 8]];

    [Fact]
    public void A_malformed_write_replies_EINVAL_and_spoils_nothing()
    {
        byte[] state = ReadState(_peer, 0x10000);
        SetState(Resuming);
        Assert.All(MalformedWrites, fields => Assert.Equal(22u, _peer.Ask(18, fields).Refusal));
        Assert.Empty(_peer.Ask(18, [8 + state.Length, state.Length, state]).Success);
        SetState(Running);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(16)]
    [InlineData(5000)]
    public void Garbage_and_half_a_state_end_in_ERROR_until_a_reset(int count)
    {
        SetState(Resuming);
        byte[] garbage = [.. Enumerable.Repeat((byte)0x5a, count)];
        if (count > 0)
            _peer.Ask(18, [8 + count, count, garbage]);
        Assert.Equal(22u, _peer.Ask(16, [16, 2 | 0x20000, Stop, 0]).Refusal);
        Assert.Equal(0u, State());
        foreach (int state in new[] { Stop, Running, StopCopy, Resuming, PreCopy })
            Assert.Equal(22u, _peer.Ask(16, [16, 2 | 0x20000, state, 0]).Refusal);
        Assert.Equal(22u, _peer.Ask(17, [72, 64]).Refusal);
        Assert.Empty(_peer.Ask(13, []).Success);
        Assert.Equal(2u, State());
        Write(0x04, 1);
        Assert.Equal(~1u, _peer.Ask(9, [0x04ul, 0, 4]).U32(16));
    }

    [Fact]
    public void The_next_client_finds_a_device_that_runs()
    {
        SetState(StopCopy);
        _peer.Dispose();
        using RawPeer next = _server.ConnectRaw();
        Assert.Equal(2u, next.Ask(16, [16, 2 | 0x10000]).U32(8));
    }

    [Fact]
    public void A_device_behind_two_servers_is_migrated_through_both()
    {
        Write(0x04, 0xabcd);
        byte[] state = ReadState(_peer, 0x10000);
        using ClientOfServer inner = new(new EduFunction());
        using VfioUserServer outer = new(inner.Connect, new VfioUserServerOptions());
        (UnixSocket ours, UnixSocket theirs) = UnixSocket.CreatePair();
        Thread session = new(() => outer.Serve(theirs, CancellationToken.None));
        session.Start();
        using (VfioUserClient client = new(ours, "unix:proxy"))
        {
            DeviceState.Restore(client, state);
            client.SetMigrationState(MigrationState.Running);
            byte[] value = new byte[4];
            client.ReadRegion(RegionIndex.Bar0, 4, value);
            Assert.Equal(~0xabcdu, BitConverter.ToUInt32(value));
            Assert.Equal(state, DeviceState.Save(client));
        }

        session.Join();
        theirs.Dispose();
    }

    private static byte[] Read(RawPeer peer, int count) => peer.Ask(17, [8 + count, count]).Success[8..];

    private static byte[] ReadState(RawPeer peer, int piece)
    {
        SetState(StopCopy, peer);
        List<byte> state = [];
        byte[] read;
        do
        {
            read = Read(peer, piece);
            state.AddRange(read);
        }
        while (read.Length == piece);
        return [.. state];
    }

    private static void SetState(int state, RawPeer peer) => Assert.Equal(16, peer.Ask(16, [16, 2 | 0x20000, state, 0]).Success.Length);

    private void SetState(int state) => SetState(state, _peer);

    private uint State() => _peer.Ask(16, [16, 2 | 0x10000]).U32(8);

    private void Write(ulong offset, uint value) => Assert.NotEmpty(_peer.Ask(10, [offset, 0, 4, value]).Success);
}
