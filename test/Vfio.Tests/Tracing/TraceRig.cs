using Vfio.Tracing;

namespace Vfio.Tests.Tracing;

/// <summary>A trace in memory.</summary>
internal sealed class TraceRig : IDisposable
{
    private readonly KeptStream _stream = new();

    internal TraceRig(TraceOptions? options = null) => Trace = new DeviceTrace(_stream, options);

    internal DeviceTrace Trace { get; }

    /// <summary>The bytes of the trace, which ends.</summary>
    internal byte[] End()
    {
        Trace.Dispose();
        Assert.Null(Trace.Failure);
        return _stream.ToArray();
    }

    /// <summary>The events of the trace, which ends.</summary>
    internal TraceEvent[] Events() => Read(End());

    /// <summary>The events of the trace, which ends, without those that describe a session.</summary>
    internal TraceEvent[] Happened() => [.. Events().Where(one => one.Kind > TraceEventKind.AddressRange)];

    public void Dispose() => Trace.Dispose();

    internal static TraceEvent[] Read(byte[] bytes)
    {
        using TraceReader reader = new(new MemoryStream(bytes), "test");
        TraceEvent[] events = [.. reader.ReadAll()];
        Assert.False(reader.IsCut);
        return events;
    }

    /// <summary>Keeps its bytes when it is disposed.</summary>
    private sealed class KeptStream : MemoryStream
    {
        protected override void Dispose(bool disposing)
        {
        }
    }
}
