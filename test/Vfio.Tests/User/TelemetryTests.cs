using System.Diagnostics;
using System.Diagnostics.Metrics;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>What listeners to the meter and the activity source receive. Other tests have sessions too: only this one's device
/// counts.</summary>
public sealed class TelemetryTests
{
    [Fact]
    public void A_session_is_a_span_and_its_messages_are_counted()
    {
        List<Activity> spans = [];
        using ActivityListener activities = new()
        {
            ShouldListenTo = source => source.Name == ServerTelemetry.Name,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = span =>
            {
                lock (spans)
                    spans.Add(span);
            },
        };
        ActivitySource.AddActivityListener(activities);
        long messages = 0;
        long refusals = 0;
        using MeterListener meters = new();
        meters.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == ServerTelemetry.Name)
                listener.EnableMeasurementEvents(instrument);
        };
        meters.SetMeasurementEventCallback<long>((instrument, value, _, _) =>
            Interlocked.Add(ref instrument.Name == "vfio.user.refusals" ? ref refusals : ref messages, value));
        meters.Start();
        using (TestServer server = new())
        {
            using (RawPeer peer = server.ConnectRaw())
            {
                for (int i = 0; i < 77; i++)
                    _ = peer.Ask(9, [0ul, 0, 4]).Success;
                _ = peer.Ask(9, [0ul, 77, 4]).Refusal;
            }

            server.WaitForSessions();
        }

        lock (spans)
            Assert.Contains(spans, span => Equals(span.GetTagItem("vfio.messages"), 79L) && Equals(span.GetTagItem("vfio.device"), "fake"));
        Assert.True(Interlocked.Read(ref messages) >= 79);
        Assert.True(Interlocked.Read(ref refusals) >= 1);
    }
}
