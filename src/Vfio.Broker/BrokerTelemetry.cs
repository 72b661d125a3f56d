using System.Diagnostics.Metrics;

namespace Vfio.Broker;

/// <summary>The metrics of all brokers of this process, under the name <see cref="Name"/>.</summary>
/// <remarks>
/// <list type="table">
/// <item><term><c>vfio.broker.leases</c></term><description>current leases</description></item>
/// <item><term><c>vfio.broker.grants</c></term><description>leases that were given</description></item>
/// <item><term><c>vfio.broker.refusals</c></term><description>requests that were refused</description></item>
/// </list></remarks>
internal static class BrokerTelemetry
{
    /// <summary>Name of the meter.</summary>
    internal const string Name = "Vfio.Broker";

    private static readonly Meter Meter = new(Name);

    /// <summary>Current leases.</summary>
    internal static readonly UpDownCounter<int> Leases = Meter.CreateUpDownCounter<int>("vfio.broker.leases", "{lease}", "Current leases");

    /// <summary>Leases that were given.</summary>
    internal static readonly Counter<long> Grants = Meter.CreateCounter<long>("vfio.broker.grants", "{lease}", "Leases given");

    /// <summary>Requests that were refused.</summary>
    internal static readonly Counter<long> Refusals = Meter.CreateCounter<long>("vfio.broker.refusals", "{request}", "Requests refused");
}
