using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;

namespace Vfio.Broker.Metrics;

/// <summary>The sums of all counters of some meters, from its making on.</summary>
/// <remarks>Any thread may use it. A count costs an addition.</remarks>
internal sealed class MeterValues : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly ConcurrentDictionary<string, Value> _values = new(StringComparer.Ordinal);

    /// <summary>Starts to listen.</summary>
    /// <param name="meters">Their names.</param>
    internal MeterValues(params string[] meters)
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (meters.Contains(instrument.Meter.Name))
                listener.EnableMeasurementEvents(instrument, _values.GetOrAdd(instrument.Name, _ => new Value(instrument)));
        };
        _listener.SetMeasurementEventCallback<int>(static (_, count, _, value) => ((Value)value!).Add(count));
        _listener.SetMeasurementEventCallback<long>(static (_, count, _, value) => ((Value)value!).Add(count));
        _listener.Start();
    }

    /// <summary>The sums as a text of Prometheus (exposition format 0.0.4).</summary>
    internal string Print()
    {
        StringBuilder text = new();
        foreach (Value value in _values.Values.OrderBy(value => value.Instrument.Name, StringComparer.Ordinal))
        {
            bool isGauge = value.Instrument is UpDownCounter<int> or UpDownCounter<long>;
            string name = value.Instrument.Name.Replace('.', '_') + (isGauge ? "" : "_total");
            text.Append(CultureInfo.InvariantCulture, $"# HELP {name} {value.Instrument.Description}\n# TYPE {name} {(isGauge ? "gauge" : "counter")}\n{name} {value.Sum}\n");
        }

        return text.ToString();
    }

    /// <inheritdoc/>
    public void Dispose() => _listener.Dispose();

    private sealed class Value(Instrument instrument)
    {
        private long _sum;

        internal Instrument Instrument => instrument;

        internal long Sum => Interlocked.Read(ref _sum);

        internal void Add(long count) => Interlocked.Add(ref _sum, count);
    }
}
