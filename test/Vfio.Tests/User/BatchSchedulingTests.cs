using Vfio.Guard;
using Vfio.Native;
using Vfio.Native.Interop;
using Vfio.Native.Sockets;
using Vfio.User;
using Xunit;

namespace Vfio.Tests.User;

/// <summary>A session's thread leaves the core to a client that asks one thing after another, and is as before when it ends.</summary>
public sealed class BatchSchedulingTests
{
    [Fact]
    public void A_busy_client_is_not_preempted_by_what_it_wakes_and_the_thread_is_then_as_it_was()
    {
        Assert.True(ReachesBatch(new VfioUserServerOptions(), out bool isOrdinaryAfterwards));
        Assert.True(isOrdinaryAfterwards);
    }

    [Fact]
    public void It_can_be_disabled() =>
        Assert.False(ReachesBatch(new VfioUserServerOptions { LeavesCoreToClient = false }, out _, atMost: 5000));

    private static bool ReachesBatch(VfioUserServerOptions options, out bool isOrdinaryAfterwards, int atMost = int.MaxValue)
    {
        using GuardedFunction guard = new(new Probe());
        using VfioUserServer server = new(guard.Open, options);
        (UnixSocket ours, UnixSocket theirs) = UnixSocket.CreatePair();
        bool isOrdinary = false;
        Thread thread = new(() =>
        {
            server.Serve(theirs, CancellationToken.None);
            isOrdinary = ThreadScheduling.IsOrdinary;
            theirs.Dispose();
        });
        thread.Start();
        bool isReached = false;
        using (VfioUserClient client = new(ours, "unix:test"))
        {
            byte[] value = new byte[4];
            DateTime limit = DateTime.UtcNow + HangGuard.Timeout;
            for (int i = 0; i < atMost && !isReached && DateTime.UtcNow < limit; i++)
            {
                client.ReadRegion(RegionIndex.Bar(0), 0, value);
                isReached = value[0] == 1;
            }
        }

        Assert.True(thread.Join(HangGuard.Timeout));
        isOrdinaryAfterwards = isOrdinary;
        return isReached;
    }

    /// <summary>A function whose register says how the thread that reads it is scheduled.</summary>
    private sealed class Probe : EmulatedFunction
    {
        public Probe()
            : base(new FunctionDescription("probe", VendorId: 0x1234, DeviceId: 1)) => AddBar(0, new ProbeBar());
    }

    private sealed class ProbeBar : BarContent
    {
        public override ulong Length => 16;

        public override void Read(ulong offset, Span<byte> destination)
        {
            destination.Clear();
            destination[0] = ThreadScheduling.IsBatch ? (byte)1 : (byte)0;
        }

        public override void Write(ulong offset, ReadOnlySpan<byte> source)
        {
        }
    }
}
