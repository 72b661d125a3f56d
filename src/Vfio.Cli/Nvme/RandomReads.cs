using System.Diagnostics;
using Vfio.Cli.Bench;
using Vfio.Cli.Output;
using Vfio.Drivers.Nvme;

namespace Vfio.Cli.Nvme;

/// <summary>Reads 4 KiB at random offsets, several at a time, and measures the time of each.</summary>
internal sealed class RandomReads : IDisposable
{
    internal const int ReadBytes = 4096;
    private readonly NvmeNamespace _disk;
    private readonly NvmeQueuePair _queue;
    private readonly DmaBuffer _buffer;
    private readonly NvmeCompleted[] _completed;
    private readonly long[] _started;
    private readonly int _blocks;
    private readonly long _places;
    private ulong _random = 1;

    internal RandomReads(NvmeNamespace disk, int depth, bool interrupts)
    {
        _disk = disk;
        disk.CheckUsable();
        _blocks = Math.Max(1, ReadBytes / disk.BlockBytes);
        _places = disk.Blocks / _blocks;
        if (_places == 0)
            throw new VfioException("random reads", disk.ToString(), Errno.InvalidArgument, $"it is smaller than {ReadBytes} bytes");
        _queue = disk.Controller.CreateQueuePair(depth, interrupts);
        _buffer = disk.Controller.Device.AllocateDma((long)depth * _blocks * disk.BlockBytes);
        _completed = new NvmeCompleted[depth];
        _started = new long[depth];
    }

    internal LatencyHistogram Nanoseconds { get; private set; } = new();

    /// <summary>The time of the measurement.</summary>
    internal TimeSpan Elapsed { get; private set; }

    /// <summary>CPU time of this process in that time: all threads, user and kernel.</summary>
    internal TimeSpan CpuTime { get; private set; }

    /// <summary>Reads for the given time, after a fifth of it to warm up.</summary>
    internal void Run(TimeSpan duration, Progress progress)
    {
        Go(duration / 5, null);
        Nanoseconds = new LatencyHistogram();
        TimeSpan cpu = Environment.CpuUsage.TotalTime;
        long start = Stopwatch.GetTimestamp();
        Go(duration, progress);
        Elapsed = Stopwatch.GetElapsedTime(start);
        CpuTime = Environment.CpuUsage.TotalTime - cpu;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _queue.Dispose();
        _buffer.Dispose();
    }

    private void Go(TimeSpan duration, Progress? progress)
    {
        long start = Stopwatch.GetTimestamp();
        long end = start + (long)(duration.TotalSeconds * Stopwatch.Frequency);
        for (int slot = 0; slot < _started.Length; slot++)
            Start(slot, start);
        _queue.RingDoorbell();
        while (_queue.InFlight > 0)
        {
            int count = _queue.Wait(_completed);
            long now = Stopwatch.GetTimestamp();
            foreach (NvmeCompleted one in _completed.AsSpan(0, count))
            {
                if (!one.Status.IsSuccess)
                    throw new VfioException($"read of {ReadBytes} bytes", _disk.ToString(), one.Status.Errno, one.Status.ToString());
                int slot = (int)one.Tag;
                Nanoseconds.Add((ulong)((now - _started[slot]) * (1e9 / Stopwatch.Frequency)));
                if (now < end)
                    Start(slot, now);
            }

            _queue.RingDoorbell();
            progress?.Report((now - start) * 1000 / Stopwatch.Frequency);
        }
    }

    private void Start(int slot, long now)
    {
        _started[slot] = now;
        long block = (long)(NextRandom() % (ulong)_places) * _blocks;
        _queue.TryRead(_disk, block, _blocks, _buffer, (long)slot * _blocks * _disk.BlockBytes, (ulong)slot);
    }

    // xorshift64*: offsets must be spread, not unpredictable, and the generator must cost almost nothing.
    private ulong NextRandom()
    {
        _random ^= _random >> 12;
        _random ^= _random << 25;
        _random ^= _random >> 27;
        return _random * 0x2545f4914f6cdd1d;
    }
}
