using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Tests.Driver;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>Once warm, a small access allocates nothing on either side.</summary>
public sealed class AllocationTests
{
    [Fact]
    public void A_read_a_write_and_a_batch_of_writes_allocate_nothing_on_either_side()
    {
        MeasuredDevice device = new();
        using VfioUserServer server = new(() => device, new VfioUserServerOptions());
        (UnixSocket ours, UnixSocket theirs) = UnixSocket.CreatePair();
        Thread session = new(() => server.Serve(theirs, CancellationToken.None));
        session.Start();
        VfioUserClient client = new(ours, "unix:test");
        byte[] four = new byte[4];
        Assert.Equal(0, Measure.Allocations(() => Touch(client, four)));
        Assert.Equal(0, Measure.Allocations(() => Touch(client, four), () => device.AllocatedBytes));
        client.Dispose();
        Assert.True(session.Join(HangGuard.Timeout));
        theirs.Dispose();
    }

    private static void Touch(VfioUserClient client, byte[] four)
    {
        client.WriteRegions([new(RegionIndex.Bar0, 0, 4, 1), new(RegionIndex.Bar0, 4, 4, 2)]);
        client.WriteRegion(RegionIndex.Bar0, 0, four);
        client.ReadRegion(RegionIndex.Bar0, 0, four);
    }

    /// <summary>Notes what its caller's thread has allocated at each read.</summary>
    private sealed class MeasuredDevice : IVfioDevice
    {
        private long _allocatedBytes;

        internal long AllocatedBytes => Volatile.Read(ref _allocatedBytes);

        public string Name => "measured";

        public DeviceInfo Info => new(DeviceFlags.None, 1, 0);

        public RegionInfo GetRegion(RegionIndex region) => new(region, 64, RegionFlags.Read | RegionFlags.Write);

        public InterruptInfo GetInterrupt(InterruptIndex index) => throw new NotSupportedException();

        public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination) =>
            Volatile.Write(ref _allocatedBytes, GC.GetAllocatedBytesForCurrentThread());

        public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
        {
        }

        public void SetInterrupts(in InterruptRequest request) => throw new NotSupportedException();

        public void MapDma(in DmaMapping mapping) => throw new NotSupportedException();

        public ulong UnmapDma(Iova start, ulong length) => throw new NotSupportedException();

        public void UnmapAllDma() => throw new NotSupportedException();

        public void Reset() => throw new NotSupportedException();

        public void Dispose()
        {
        }
    }
}
