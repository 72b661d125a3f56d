using Vfio.Devices.Edu;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>Migration and dirty pages as the client has them: with servers that can, that cannot, and that lie.</summary>
public sealed class ClientMigrationTests
{
    private const ulong Base = 0x100000;

    [Fact]
    public void A_server_without_any_is_asked_once_and_says_so()
    {
        using TestServer server = new();
        using VfioUserClient client = server.ConnectClient();
        Assert.Equal(MigrationFeatures.None, client.Migration);
        Assert.False(client.TracksDirtyPages);
        Assert.Equal(Errno.NoSuchOperation, Assert.Throws<VfioException>(() => client.MigrationState).Errno);
        Assert.Equal(Errno.NoSuchOperation, Assert.Throws<VfioException>(() => client.SetMigrationState(MigrationState.Stop)).Errno);
        Assert.Equal(Errno.NoSuchOperation, Assert.Throws<VfioException>(() => client.StartDirtyTracking(4096, [])).Errno);
        Assert.Equal(Errno.NoSuchOperation, Assert.Throws<VfioException>(() => DeviceState.Save(client)).Errno);
        client.Reset();
    }

    [Fact]
    public void A_server_that_can_is_driven_through_all_states()
    {
        using ClientOfServer server = new(new EduFunction());
        using VfioUserClient client = server.Connect();
        Assert.Equal(MigrationFeatures.StopCopy | MigrationFeatures.PreCopy, client.Migration);
        Assert.True(client.TracksDirtyPages);
        MigrationState[] states = [MigrationState.PreCopy, MigrationState.StopCopy, MigrationState.Stop, MigrationState.Running];
        foreach (MigrationState state in states)
        {
            client.SetMigrationState(state);
            Assert.Equal(state, client.MigrationState);
        }

        Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => client.SetMigrationState(MigrationState.Error)).Errno);
    }

    [Fact]
    public void A_bitmap_and_a_state_longer_than_a_message_come_in_pieces()
    {
        const ulong Length = 0x1000_0000; // its bitmap has 8192 bytes
        using ClientOfServer server = new(new EduFunction(), new VfioUserServerOptions { MaxDataTransferBytes = 4096 });
        using VfioUserClient client = server.Connect();
        SharedDmaMemory memory = new(SharedMemory.Create("wide", Length));
        client.MapDma(new DmaMapping(new Iova(0), Length, DmaAccess.ReadWrite, memory, 0));
        client.WriteRegion(RegionIndex.Config, 4, [6, 0]);
        Assert.Equal(4096ul, client.StartDirtyTracking(4096, [new IovaRange(new Iova(0), Length)]));
        ulong[] written = [0x3000, 0x7ff_f000, 0x800_0000, 0xfff_f000];
        Array.ForEach(written, address => Write(client, address));
        byte[] bitmap = new byte[DirtyBitmap.LengthOf(Length, 4096)];
        client.ReportDirtyPages(new Iova(0), Length, 4096, bitmap);
        Assert.Equal(
            written.Select(address => (int)(address / 4096)),
            Enumerable.Range(0, (int)(Length / 4096)).Where(page => DirtyBitmap.IsDirty(bitmap, page)));
        Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => client.UnmapDma(new Iova(0), Length, 4096, bitmap)).Errno);

        byte[] state = DeviceState.Save(client);
        Assert.InRange(state.Length, 4097, int.MaxValue);
        DeviceState.Restore(client, state);
        client.StopDirtyTracking();
        client.UnmapAllDma();
        memory.Release();
    }

    [Fact]
    public void An_unmap_with_a_report_unmaps_on_both_sides()
    {
        using ClientOfServer server = new(new EduFunction());
        using VfioUserClient client = server.Connect();
        SharedDmaMemory memory = new(SharedMemory.Create("unmapped", 0x10000));
        client.MapDma(new DmaMapping(new Iova(Base), 0x10000, DmaAccess.ReadWrite, memory, 0));
        client.WriteRegion(RegionIndex.Config, 4, [6, 0]);
        byte[] bitmap = new byte[8];
        Assert.Throws<VfioException>(() => client.UnmapDma(new Iova(Base), 0x10000, 4096, bitmap)); // not started
        client.StartDirtyTracking(4096, []);
        Write(client, Base + 0x2000);
        Assert.Equal(0x10000ul, client.UnmapDma(new Iova(Base), 0x10000, 0x2000, bitmap));
        Assert.Equal([2, 0, 0, 0, 0, 0, 0, 0], bitmap);
        Assert.True(memory.HasOneReference);
        Assert.Equal(Errno.NoEntry, Assert.Throws<VfioException>(() => client.UnmapDma(new Iova(Base), 0x10000)).Errno);
        client.MapDma(new DmaMapping(new Iova(Base), 0x10000, DmaAccess.ReadWrite, memory, 0));
        client.UnmapDma(new Iova(Base), 0x10000);
        memory.Release();
    }

    public static TheoryData<string, Func<ushort, byte[]>> BadStates => new()
    {
        { "no state", id => RawPeer.Message(id, 16, 1, 16, 0x10002) },
        { "a state that is none", id => RawPeer.Message(id, 16, 1, 16, 0x10002, 8, 0) },
        { "another feature", id => RawPeer.Message(id, 16, 1, 16, 0x10001, 2, 0) },
        { "nothing", id => RawPeer.Message(id, 16, 1) },
    };

    [Theory]
    [MemberData(nameof(BadStates), DisableDiscoveryEnumeration = true)]
    public void A_state_that_cannot_be_is_EPROTO(string what, Func<ushort, byte[]> answer) =>
        AssertProtocol(what, answer, client => _ = client.MigrationState);

    public static TheoryData<string, Func<ushort, byte[]>> BadData => new()
    {
        { "more than was asked for", id => RawPeer.Message(id, 17, 1, 25, 17, new byte[17]) },
        { "less than it says", id => RawPeer.Message(id, 17, 1, 24, 16, new byte[15]) },
        { "4 GiB", id => RawPeer.Message(id, 17, 1, 24, uint.MaxValue, new byte[16]) },
        { "nothing", id => RawPeer.Message(id, 17, 1) },
    };

    [Theory]
    [MemberData(nameof(BadData), DisableDiscoveryEnumeration = true)]
    public void Data_that_contradicts_itself_is_EPROTO(string what, Func<ushort, byte[]> answer) =>
        AssertProtocol(what, answer, client => client.ReadMigrationData(new byte[16]));

    public static TheoryData<string, Func<ushort, byte[]>> BadReports => new()
    {
        { "half a bitmap", id => RawPeer.Message(id, 16, 1, 40, 0x10008, 0ul, 0x1000ul, 0x1000ul, 0) },
        { "two bitmaps", id => RawPeer.Message(id, 16, 1, 40, 0x10008, 0ul, 0x1000ul, 0x1000ul, 0ul, 0ul) },
        { "nothing", id => RawPeer.Message(id, 16, 1) },
    };

    [Theory]
    [MemberData(nameof(BadReports), DisableDiscoveryEnumeration = true)]
    public void A_report_of_another_length_is_EPROTO(string what, Func<ushort, byte[]> answer) =>
        AssertProtocol(what, answer, client => client.ReportDirtyPages(new Iova(0), 0x1000, 0x1000, new byte[8]));

    [Theory]
    [InlineData(0ul)]
    [InlineData(3ul)]
    [InlineData(0x1800ul)]
    public void A_page_size_for_tracking_that_is_no_power_of_two_is_EPROTO(ulong pageBytes) =>
        AssertProtocol(
            $"{pageBytes}", id => RawPeer.Message(id, 16, 1, 24, 0x20006, pageBytes, 0, 0),
            client => client.StartDirtyTracking(0x1000, []));

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    public void A_report_that_fits_no_message_is_ENOTSUP(int bytes)
    {
        (UnixSocket ours, UnixSocket theirs) = UnixSocket.CreatePair();
        using RawPeer server = new(theirs);
        Thread answers = new(() =>
        {
            string offer = $"{{\"capabilities\":{{\"max_data_xfer_size\":{bytes}}}}}\0";
            server.Send(RawPeer.Message(server.Receive().Id, 1, 1, (ushort)0, (ushort)1, offer));
            server.Send(RawPeer.Message(server.Receive().Id, 4, 1, 16, 2, 0, 0));
        });
        answers.Start();
        using VfioUserClient client = new(ours, "unix:test");
        VfioException refusal = Assert.Throws<VfioException>(() => client.ReportDirtyPages(new Iova(0), 0x1000, 0x1000, new byte[8]));
        Assert.Equal(Errno.NotSupported, refusal.Errno);
        answers.Join();
    }

    private static void AssertProtocol(string what, Func<ushort, byte[]> answer, Action<VfioUserClient> ask)
    {
        (UnixSocket ours, UnixSocket theirs) = UnixSocket.CreatePair();
        using RawPeer server = new(theirs);
        Thread answers = new(() =>
        {
            server.Send(RawPeer.Message(server.Receive().Id, 1, 1, (ushort)0, (ushort)1, "{\"capabilities\":{}}\0"));
            server.Send(RawPeer.Message(server.Receive().Id, 4, 1, 16, 2, 0, 0));
            server.Send(answer(server.Receive().Id));
        });
        answers.Start();
        using VfioUserClient client = new(ours, "unix:liar");
        VfioException refusal = Assert.Throws<VfioException>(() => ask(client));
        Assert.True(refusal.Errno == Errno.Protocol, $"{what}: {refusal.Message}");
        Assert.Equal(Errno.Protocol, Assert.Throws<VfioException>(client.Reset).Errno);
        answers.Join();
    }

    /// <summary>Lets edu write 8 bytes of its buffer, and waits for it.</summary>
    private static void Write(VfioUserClient client, ulong address)
    {
        foreach ((ulong at, ulong value) in new[] { (0x80ul, 0x40000ul), (0x88ul, address), (0x90ul, 8ul), (0x98ul, 3ul) })
            client.WriteRegion(RegionIndex.Bar0, at, BitConverter.GetBytes(value));
        byte[] command = new byte[8];
        Assert.True(SpinWait.SpinUntil(
            () =>
            {
                client.ReadRegion(RegionIndex.Bar0, 0x98, command);
                return (command[0] & 1) == 0;
            },
            HangGuard.Timeout));
    }
}
