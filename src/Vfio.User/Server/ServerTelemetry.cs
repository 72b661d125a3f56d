using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Vfio.User;

/// <summary>The metrics and traces of all servers of this process, under the name <see cref="Name"/>.</summary>
/// <remarks>Messages cause no allocations, and next to no work without a listener.
/// <list type="table">
/// <item><term><c>vfio.user.sessions</c></term><description>current sessions</description></item>
/// <item><term><c>vfio.user.messages</c></term><description>commands that were carried out or refused</description></item>
/// <item><term><c>vfio.user.refusals</c></term><description>commands that were refused</description></item>
/// <item><term>activity <c>vfio-user session</c></term><description>one a session, with <c>vfio.device</c>, <c>vfio.messages</c> and
/// <c>vfio.end</c>: the device, how many messages, why it ended</description></item>
/// </list></remarks>
public static class ServerTelemetry
{
    /// <summary>Name of the meter and of the activity source.</summary>
    public const string Name = "Vfio.User";

    private static readonly ActivitySource Source = new(Name);
    private static readonly Meter Meter = new(Name);
    private static readonly UpDownCounter<int> Sessions =
        Meter.CreateUpDownCounter<int>("vfio.user.sessions", "{session}", "Current sessions");
    private static readonly Counter<long> Refusals = Meter.CreateCounter<long>("vfio.user.refusals", "{message}", "Commands refused");

    /// <summary>Commands that were carried out or refused.</summary>
    internal static readonly Counter<long> Messages =
        Meter.CreateCounter<long>("vfio.user.messages", "{message}", "Commands carried out or refused");

    internal static Activity? StartSession()
    {
        Sessions.Add(1);
        return Source.StartActivity("vfio-user session", ActivityKind.Server);
    }

    internal static void CountRefusal() => Refusals.Add(1);

    internal static void EndSession(Activity? span, string? device, long messages, string? reason)
    {
        Sessions.Add(-1);
        span?.SetTag("vfio.device", device).SetTag("vfio.messages", messages).SetTag("vfio.end", reason);
    }
}
