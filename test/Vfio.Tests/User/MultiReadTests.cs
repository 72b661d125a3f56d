using Vfio.Native;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>Several REGION_READs under way at once.</summary>
public sealed class MultiReadTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(64)]
    [InlineData(200)]
    public void Values_are_those_of_the_registers_in_the_order_asked_for(int count)
    {
        using TestServer server = new();
        using VfioUserClient client = server.ConnectClient();
        client.WriteRegion(RegionIndex.Bar0, 0x400, [.. Enumerable.Range(0, 256).Select(i => (byte)i)]);
        RegisterRead[] reads = [.. Enumerable.Range(0, count).Select(i => new RegisterRead(RegionIndex.Bar0, 0x400 + (ulong)(i % 255), 1 + (i % 2)))];
        ulong[] values = new ulong[count];
        client.ReadRegions(reads, values);
        for (int i = 0; i < count; i++)
            Assert.Equal(i % 2 == 0 ? (uint)(i % 255) : (uint)((i % 255) + (((i % 255) + 1) << 8)), values[i]);
    }

    [Fact]
    public void One_that_is_refused_is_reported_and_the_connection_continues()
    {
        using TestServer server = new();
        using VfioUserClient client = server.ConnectClient();
        client.WriteRegion(RegionIndex.Bar0, 0, [7]);
        RegisterRead[] reads = [new(RegionIndex.Bar0, 0, 1), new(RegionIndex.Bar0, FakeDevice.Faulty, 4), new(RegionIndex.Bar0, 0, 1)];
        ulong[] values = new ulong[3];
        VfioException refusal = Assert.Throws<VfioException>(() => client.ReadRegions(reads, values));
        Assert.Equal(Errno.InputOutput, refusal.Errno);
        Assert.Contains("0x80", refusal.Message, StringComparison.Ordinal);
        Assert.Equal(7ul, values[0]);
        client.Reset();
    }

    [Fact]
    public void Replies_may_come_in_any_order()
    {
        using OpenedClient opened = new();
        opened.Serve(server =>
        {
            ushort first = server.Receive().Id;
            ushort second = server.Receive().Id;
            server.Send(RawPeer.Message(second, 9, 1, 4ul, 0, 4, 0x22));
            server.Send(RawPeer.Message(first, 9, 1, 0ul, 0, 4, 0x11));
        });
        ulong[] values = new ulong[2];
        opened.Client.ReadRegions([new(RegionIndex.Bar0, 0, 4), new(RegionIndex.Bar0, 4, 4)], values);
        Assert.Equal([0x11ul, 0x22ul], values);
    }

    [Fact]
    public void Two_replies_to_one_request_are_EPROTO()
    {
        using OpenedClient opened = new();
        opened.Serve(server =>
        {
            ushort first = server.Receive().Id;
            server.Receive();
            server.Send(RawPeer.Message(first, 9, 1, 0ul, 0, 4, 0x11));
            server.Send(RawPeer.Message(first, 9, 1, 0ul, 0, 4, 0x11));
        });
        RegisterRead[] reads = [new(RegionIndex.Bar0, 0, 4), new(RegionIndex.Bar0, 4, 4)];
        VfioException refusal = Assert.Throws<VfioException>(() => opened.Client.ReadRegions(reads, new ulong[2]));
        Assert.Equal(Errno.Protocol, refusal.Errno);
    }
}
