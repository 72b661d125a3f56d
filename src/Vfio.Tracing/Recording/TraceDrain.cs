using Vfio.Tracing.Format;

namespace Vfio.Tracing.Recording;

/// <summary>The thread that takes events from the ring and writes them.</summary>
/// <remarks>It looks at the ring again and again, with short sleeps: so no thread of a device has to wake it. When the events cannot be
/// written,
/// it takes and forgets them: the device goes on.</remarks>
internal sealed class TraceDrain : IDisposable
{
    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(1), Longest = TimeSpan.FromMilliseconds(8);
    private readonly TraceRing _ring;
    private readonly ITraceSink _sink;
    private readonly ManualResetEventSlim _stop = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Thread _thread;
    private readonly Func<ulong> _now;
    private readonly Action<long, ulong> _writeLost;
    private long _lost;
    private bool _isEnded;

    /// <summary>Starts it.</summary>
    /// <param name="ring">Where events come from.</param>
    /// <param name="sink">Where they go to; owned.</param>
    /// <param name="now">The time of an event that says how many were lost.</param>
    internal TraceDrain(TraceRing ring, ITraceSink sink, Func<ulong> now)
    {
        (_ring, _sink, _now, _writeLost) = (ring, sink, now, WriteLost);
        _thread = new Thread(Run) { IsBackground = true, Name = "vfio trace" };
        _thread.Start();
    }

    /// <summary>Completes when no more is written: the trigger to stop came, or <see cref="Failure"/> is there.</summary>
    internal Task Ended => _ended.Task;

    /// <summary>Why the trace ends early; null while it does not.</summary>
    internal Exception? Failure { get; private set; }

    /// <summary>Writes what is there by now, and ends.</summary>
    public void Dispose()
    {
        _stop.Set();
        _thread.Join();
        _stop.Dispose();
    }

    private void Run()
    {
        Forgetting nowhere = new();
        TimeSpan sleep = Shortest;
        bool isLast;
        do
        {
            isLast = _stop.Wait(sleep);
            int count = 0;
            try
            {
                count = _isEnded ? _ring.Take(nowhere, null) : _ring.Take(_sink, _writeLost);
                if (!_isEnded)
                    Finish(isLast);
            }
            catch (Exception refusal)
            {
                // Whatever it is, the device goes on.
                Failure = refusal;
                End();
            }

            sleep = count > 0 ? Shortest : TimeSpan.FromTicks(Math.Min(sleep.Ticks * 2, Longest.Ticks));
        }
        while (!isLast);
        Close();
        _ended.TrySetResult();
    }

    private void Finish(bool isLast)
    {
        // Where an event came meanwhile, it says what is missing before it.
        long dropped = _ring.Dropped;
        if (isLast || _ring.IsEmpty)
            WriteLost(dropped, _now());
        _sink.Flush();
        if (_sink.IsDone)
            End();
    }

    /// <summary>Says what is missing.</summary>
    /// <param name="dropped">How many events were dropped by then.</param>
    /// <param name="time">The time of the event that comes next.</param>
    private void WriteLost(long dropped, ulong time)
    {
        if (dropped <= _lost)
            return;
        ulong count = (ulong)(dropped - _lost);
        _lost = dropped;
        _sink.Write(new TraceRecord { Kind = TraceEventKind.Lost, Time = time, Value = count }, default);
    }

    private void End()
    {
        _isEnded = true;
        _ended.TrySetResult();
    }

    private void Close()
    {
        try
        {
            _sink.Dispose();
        }
        catch (Exception refusal)
        {
            Failure ??= refusal;
        }
    }

    private sealed class Forgetting : ITraceSink
    {
        public void Write(in TraceRecord record, ReadOnlySpan<byte> payload)
        {
        }

        public void Flush()
        {
        }

        public void Dispose()
        {
        }
    }
}
