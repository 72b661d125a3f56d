using Vfio.Devices.Edu;
using Vfio.Native;
using Vfio.Native.Sockets;

namespace Vfio.Tests.User;

/// <summary>DEVICE_FEATURE (16) at the socket, by the numbers of the specification and of linux/vfio.h.</summary>
public sealed class DeviceFeatureTests : IDisposable
{
    private const int Get = 0x10000, Set = 0x20000, Probe = 0x40000;
    private readonly ClientOfServer _server = new(new EduFunction());
    private readonly RawPeer _peer;

    public DeviceFeatureTests() => _peer = _server.ConnectRaw();

    public void Dispose()
    {
        _peer.Dispose();
        _server.Dispose();
    }

    [Fact]
    public void Migration_says_stop_copy_and_pre_copy() =>
        Assert.Equal(RawPeer.Bytes(16, 1 | Get, 5ul), Ask([16, 1 | Get]).Success);

    [Fact]
    public void The_state_starts_as_running_without_a_descriptor() =>
        Assert.Equal(RawPeer.Bytes(16, 2 | Get, 2, 0xffffffffu), Ask([100, 2 | Get]).Success);

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(6)]
    public void A_state_that_is_set_is_echoed_and_there(int state)
    {
        byte[] request = RawPeer.Bytes(16, 2 | Set, state, 0x77);
        Assert.Equal(request, Ask([request]).Success);
        Assert.Equal((uint)state, Ask([16, 2 | Get]).U32(8));
    }

    [Theory]
    [InlineData(1 | Probe, 0u)]
    [InlineData(1 | Probe | Get, 0u)]
    [InlineData(1 | Probe | Set, 22u)]
    [InlineData(2 | Probe | Get | Set, 0u)]
    [InlineData(6 | Probe | Set, 0u)]
    [InlineData(6 | Probe | Get, 22u)]
    [InlineData(7 | Probe | Set, 0u)]
    [InlineData(8 | Probe | Get, 0u)]
    [InlineData(8 | Probe | Get | Set, 22u)]
    [InlineData(0 | Probe, 25u)] // PCI_VF_TOKEN and power management are the kernel's alone
    [InlineData(3 | Probe, 25u)]
    [InlineData(0xffff | Probe, 25u)]
    public void A_probe_says_whether_all_that_it_names_is_there(int flags, uint errno)
    {
        RawPeer.Reply reply = Ask([8, flags]);
        Assert.Equal(errno, reply.Error);
        if (errno == 0)
            Assert.Equal(RawPeer.Bytes(8, flags), reply.Success);
    }

    private static readonly object[][] Malformed =
    [
        [],
        [8],
        [7, 1 | Probe],
        [15, 1 | Get], // no space for the answer
        [15, 2 | Get],
        [16, 1], // nothing to do
        [16, 1 | Get | Set],
        [16, 1 | Get | 0x80000],
        [16, 1 | Set, 1ul],
        [16, 2 | Set], // no state
        [16, 2 | Set, 1],
        [15, 2 | Set, 1, 0],
        [16, 2 | Set, 0, 0], // ERROR
        [16, 2 | Set, 5, 0], // the states that vfio-user does not use
        [16, 2 | Set, 7, 0],
        [16, 2 | Set, 8, 0],
        [16, 2 | Set, 0xffffffffu, 0],
        [24, 6 | Set, 0ul, 0, 0], // page sizes that are none
        [24, 6 | Set, 0x1001ul, 0, 0],
        [24, 6 | Set, 0x1000ul, 0], // too short
        [24, 6 | Set, 0x1000ul, 0, 1], // reserved
        [24, 6 | Set, 0x1000ul, 1, 0], // a range that is not there
        [40, 6 | Set, 0x1000ul, 0, 0, 0ul, 0x1000ul], // one that is not announced
        [40, 6 | Set, 0x1000ul, 0xffffffffu, 0, 0ul, 0x1000ul],
        [40, 6 | Set, 0x1000ul, 1, 0, 0x10ul, 0x1000ul],
        [40, 6 | Set, 0x1000ul, 1, 0, 0ul, 0ul],
        [40, 6 | Set, 0x2000ul, 1, 0, 0x1000ul, 0x2000ul],
        [40, 6 | Set, 0x1000ul, 1, 0, 0xfffffffffffff000ul, 0x2000ul],
        [23, 6 | Set, 0x1000ul, 0, 0],
        [40, 8 | Get, 0ul, 0x1000ul, 0x1000ul], // not started
        [8, 7 | Get],
    ];

    [Fact]
    public void What_is_malformed_replies_EINVAL_and_changes_nothing() => Assert.All(
        Malformed,
        fields =>
        {
            Assert.Equal(22u, Ask(fields).Refusal);
            Assert.Equal(2u, Ask([16, 2 | Get]).U32(8));
        });

    [Fact]
    public void A_device_without_any_replies_ENOTTY()
    {
        using TestServer server = new();
        using RawPeer peer = server.ConnectRaw();
        foreach (int flags in new[] { 1 | Get, 2 | Get, 6 | Probe, 8 | Get })
            Assert.Equal(25u, peer.Ask(16, [64, flags]).Refusal);
        Assert.Equal(25u, peer.Ask(17, [24, 16]).Refusal);
        Assert.Equal(25u, peer.Ask(18, [16, 8, 0ul]).Refusal);
    }

    [Fact]
    public void The_capability_is_offered_to_a_client_that_names_it()
    {
        Assert.DoesNotContain("migration", Negotiate("{}"), StringComparison.Ordinal);
        Assert.Contains("\"migration\":{\"pgsize\":4096}", Negotiate("{\"migration\":{\"pgsize\":4096}}"), StringComparison.Ordinal);
        Assert.Contains("\"migration\":{\"pgsize\":4096}", Negotiate("{\"migration\":{\"other\":[1]}}"), StringComparison.Ordinal);
        Assert.DoesNotContain("migration", Negotiate("{\"migration\":{\"pgsize\":4096}}", guarded: false), StringComparison.Ordinal);
    }

    private static string Negotiate(string capabilities, bool guarded = true)
    {
        using ClientOfServer guardedServer = new(new EduFunction());
        using TestServer plain = new();
        using UnixSocket socket = guarded ? guardedServer.Open() : plain.Connect();
        using RawPeer peer = new(socket);
        return System.Text.Encoding.UTF8.GetString(peer.Ask(1, [(ushort)0, (ushort)1, $"{{\"capabilities\":{capabilities}}}\0"]).Success);
    }

    private RawPeer.Reply Ask(object[] fields) => _peer.Ask(16, fields);
}
