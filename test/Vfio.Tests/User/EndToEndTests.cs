using Vfio.Native;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>Client and server of this library, connected in memory.</summary>
public sealed class EndToEndTests
{
    [Fact]
    public void The_client_shows_the_device_that_the_server_serves()
    {
        using TestServer server = new();
        using VfioUserClient client = server.ConnectClient();
        Assert.Equal(server.Device.Info, client.Info);
        for (uint i = 0; i < 9; i++)
        {
            RegionInfo expected = server.Device.GetRegion(new RegionIndex(i));
            RegionInfo actual = client.GetRegion(new RegionIndex(i));
            Assert.Equal((expected.Length, expected.Flags, expected.FileOffset), (actual.Length, actual.Flags, actual.FileOffset));
            Assert.Equal(expected.MmapAreas, actual.MmapAreas);
            Assert.Equal(expected.File is null, actual.File is null);
        }

        for (uint i = 0; i < 5; i++)
            Assert.Equal(server.Device.GetInterrupt(new InterruptIndex(i)), client.GetInterrupt(new InterruptIndex(i)));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(8)]
    [InlineData(4096)]
    public void What_is_written_to_a_region_is_read_back(int length)
    {
        using TestServer server = new();
        using VfioUserClient client = server.ConnectClient();
        byte[] written = new byte[length];
        new Random(1).NextBytes(written);
        byte[] read = new byte[length];
        client.WriteRegion(new RegionIndex(2), 4096, written);
        client.ReadRegion(new RegionIndex(2), 4096, read);
        Assert.Equal(written, read);
    }

    [Fact]
    public void A_transfer_larger_than_a_message_is_cut()
    {
        using TestServer server = new(options: new VfioUserServerOptions { MaxDataTransferBytes = 4096 });
        using VfioUserClient client = server.ConnectClient();
        byte[] written = new byte[FakeDevice.SharedBytes];
        new Random(2).NextBytes(written);
        byte[] read = new byte[FakeDevice.SharedBytes];
        client.WriteRegion(new RegionIndex(2), 0, written);
        client.ReadRegion(new RegionIndex(2), 0, read);
        Assert.Equal(written, read);
    }

    [Fact]
    public void A_whole_megabyte_goes_in_one_message()
    {
        using TestServer server = new();
        using VfioUserClient client = server.ConnectClient();
        byte[] written = new byte[1 << 20];
        new Random(3).NextBytes(written);
        byte[] read = new byte[1 << 20];
        client.WriteRegion(new RegionIndex(2), 0, written);
        client.ReadRegion(new RegionIndex(2), 0, read);
        Assert.Equal(written, read);
    }

    [Fact]
    public void A_mapped_region_is_the_same_memory_as_by_message()
    {
        using TestServer server = new();
        using VfioUserClient client = server.ConnectClient();
        RegionInfo region = client.GetRegion(new RegionIndex(2));
        using SharedMemory mapped = SharedMemory.Map(region.File!, region.FileOffset, region.Length, writable: true);
        mapped.Write32(0x3000, 0x12345678);
        byte[] read = new byte[4];
        client.ReadRegion(new RegionIndex(2), 0x3000, read);
        Assert.Equal(0x12345678u, BitConverter.ToUInt32(read));
    }

    [Fact]
    public void Interrupts_are_bound_fired_and_taken_away()
    {
        using TestServer server = new();
        using VfioUserClient client = server.ConnectClient();
        using EventFd first = EventFd.Create();
        using EventFd third = EventFd.Create();
        client.SetInterrupts(InterruptRequest.Bind(InterruptIndex.Msix, InterruptAction.Trigger, 0, [first.Descriptor, null, third.Descriptor]));
        client.SetInterrupts(InterruptRequest.ForSome(InterruptIndex.Msix, InterruptAction.Trigger, 0, [1, 1, 0]));
        Assert.Equal(1ul, first.Drain());
        Assert.Equal(0ul, third.Drain());
        client.SetInterrupts(InterruptRequest.ForAll(InterruptIndex.Msix, InterruptAction.Trigger, 0, 3));
        Assert.Equal(1ul, third.Drain());
        client.SetInterrupts(InterruptRequest.Disable(InterruptIndex.Msix));
        client.SetInterrupts(InterruptRequest.ForAll(InterruptIndex.Msix, InterruptAction.Trigger, 0, 3));
        Assert.Equal(1ul, first.Drain());
        client.SetInterrupts(InterruptRequest.ForAll(InterruptIndex.Intx, InterruptAction.Mask, 0, 1));
        Assert.Equal("Mask None INTx 0 1", server.Device.Calls[^1]);
    }

    [Fact]
    public void A_refusal_of_the_device_keeps_its_errno_and_the_connection()
    {
        using TestServer server = new();
        using VfioUserClient client = server.ConnectClient();
        byte[] byteOf = new byte[4];
        VfioException refusal = Assert.Throws<VfioException>(() => client.ReadRegion(RegionIndex.Bar0, 4096, byteOf));
        Assert.Equal(Errno.InvalidArgument, refusal.Errno);
        refusal = Assert.Throws<VfioException>(() => client.ReadRegion(RegionIndex.Bar0, FakeDevice.Faulty, byteOf));
        Assert.Equal(Errno.InputOutput, refusal.Errno);
        refusal = Assert.Throws<VfioException>(() => client.WriteRegion(RegionIndex.Rom, 0, byteOf));
        Assert.Equal(Errno.AccessDenied, refusal.Errno);
        client.ReadRegion(RegionIndex.Bar0, 0, byteOf);
    }

    [Fact]
    public void A_reset_reaches_the_device_and_a_close_releases_it()
    {
        using TestServer server = new();
        using (VfioUserClient client = server.ConnectClient())
        {
            client.WriteRegion(RegionIndex.Bar0, 8, [1, 2, 3, 4]);
            client.Reset();
            byte[] read = new byte[4];
            client.ReadRegion(RegionIndex.Bar0, 8, read);
            Assert.Equal(new byte[4], read);
        }

        server.WaitForSessions();
        Assert.True(server.Device.Disposed);
    }

    [Fact]
    public void Posted_writes_are_not_answered_and_stay_in_order()
    {
        using TestServer server = new(() => new FakeDevice { IsMappable = false });
        using VfioUserClient client = server.ConnectClient(new VfioUserClientOptions { PostedWrites = true });
        for (int i = 0; i < 1000; i++)
            client.WriteRegion(RegionIndex.Bar0, 8, BitConverter.GetBytes(i));
        client.WriteRegion(RegionIndex.Rom, 0, [1]);
        byte[] read = new byte[4];
        client.ReadRegion(RegionIndex.Bar0, 8, read);
        Assert.Equal(999, BitConverter.ToInt32(read));
    }

    [Fact]
    public void Writes_are_not_posted_once_a_region_that_can_be_mapped_was_asked_for()
    {
        using TestServer server = new();
        using VfioUserClient client = server.ConnectClient(new VfioUserClientOptions { PostedWrites = true });
        client.WriteRegion(RegionIndex.Rom, 0, [1]);
        Assert.Contains(Enumerable.Range(0, RegionIndex.PciCount), region => client.GetRegion(new RegionIndex((uint)region)).IsMappable);
        VfioException refusal = Assert.Throws<VfioException>(() => client.WriteRegion(RegionIndex.Rom, 0, [1]));
        Assert.Equal(Errno.AccessDenied, refusal.Errno);
    }
}
