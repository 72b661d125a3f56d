using System.Buffers.Binary;
using System.Diagnostics;
using Vfio.Guard;

namespace Vfio.Devices.Nvme;

/// <summary>What one queue has done, for the SMART log; written by the queue's thread alone.</summary>
internal sealed class NvmeTally
{
    /// <summary>Bytes that the driver has read, and written.</summary>
    internal long BytesRead, BytesWritten;

    /// <summary>Read and write commands.</summary>
    internal long Reads, Writes;

    /// <summary>Reads and writes that the storage failed.</summary>
    internal long MediaErrors;

    /// <summary>How long it had commands to do, in <see cref="Stopwatch"/> ticks.</summary>
    internal long BusyTicks;
}

/// <summary>The counters of the SMART log, and the temperature. They count from when the image was opened.</summary>
/// <remarks>NVM Express Base Specification 2.0, section 5.16.1.3.</remarks>
internal sealed class NvmeHealth
{
    /// <summary>The temperature of a drive that has none: 30 degrees Celsius, in kelvins.</summary>
    internal const int Temperature = 303;

    /// <summary>WCTEMP and CCTEMP of Identify Controller, in kelvins.</summary>
    internal const int WarningTemperature = 343, CriticalTemperature = 373;

    private readonly NvmeTally[] _tallies;
    private readonly TimeProvider _clock;
    private long _start;
    private long _elapsedBefore;
    private long _powerCycles;
    private long _unsafeShutdowns;

    internal NvmeHealth(TimeProvider clock, int queues)
    {
        _clock = clock;
        _start = clock.GetTimestamp();
        _tallies = [.. Enumerable.Range(0, queues + 1).Select(_ => new NvmeTally())];
    }

    /// <summary>What was not done by a queue's own thread; added to by several threads, atomically.</summary>
    internal NvmeTally OfTransfers => _tallies[^1];

    /// <summary>Power On Hours.</summary>
    internal long Hours => (long)(TimeSpan.FromTicks(_elapsedBefore) + _clock.GetElapsedTime(_start)).TotalHours;

    /// <summary>A queue's counters, which outlive it.</summary>
    internal NvmeTally this[int queue] => _tallies[queue];

    /// <summary>A driver enables the controller for the first time after a reset of the function.</summary>
    internal void CountPowerCycle() => Interlocked.Increment(ref _powerCycles);

    /// <summary>The function is reset, or its user is gone, and no shutdown came before.</summary>
    internal void CountUnsafeShutdown() => Interlocked.Increment(ref _unsafeShutdowns);

    /// <summary>Writes the SMART log, 512 bytes.</summary>
    /// <param name="data">Zeros.</param>
    /// <param name="warnings">Critical Warning.</param>
    /// <param name="errors">How many entries the error log ever had.</param>
    internal void Write(Span<byte> data, byte warnings, long errors)
    {
        const int AvailableSpare = 100, SpareThreshold = 10, BytesOfUnit = 512_000;
        long busyMinutes = (long)Stopwatch.GetElapsedTime(0, Sum(tally => tally.BusyTicks)).TotalMinutes;
        data[0] = warnings;
        BinaryPrimitives.WriteUInt16LittleEndian(data[1..], Temperature);
        data[3] = AvailableSpare;
        data[4] = SpareThreshold;
        Put(data, 32, (Sum(tally => tally.BytesRead) + BytesOfUnit - 1) / BytesOfUnit);
        Put(data, 48, (Sum(tally => tally.BytesWritten) + BytesOfUnit - 1) / BytesOfUnit);
        Put(data, 64, Sum(tally => tally.Reads));
        Put(data, 80, Sum(tally => tally.Writes));
        Put(data, 96, busyMinutes);
        Put(data, 112, Interlocked.Read(ref _powerCycles));
        Put(data, 128, Hours);
        Put(data, 144, Interlocked.Read(ref _unsafeShutdowns));
        Put(data, 160, Sum(tally => tally.MediaErrors));
        Put(data, 176, errors);
    }

    /// <summary>Saves the counters.</summary>
    internal void Save(StateWriter state)
    {
        state.Write(_powerCycles);
        state.Write(_unsafeShutdowns);
        state.Write(_elapsedBefore + _clock.GetElapsedTime(_start).Ticks);
        foreach (NvmeTally tally in _tallies)
        {
            foreach (long counter in (ReadOnlySpan<long>)
                [tally.BytesRead, tally.BytesWritten, tally.Reads, tally.Writes, tally.MediaErrors, tally.BusyTicks])
            {
                state.Write(counter);
            }
        }
    }

    /// <summary>Restores what <see cref="Save"/> wrote.</summary>
    internal bool TryRestore(ref StateReader state)
    {
        _start = _clock.GetTimestamp();
        bool isThere = state.TryRead(out _powerCycles) && state.TryRead(out _unsafeShutdowns) && state.TryRead(out _elapsedBefore)
            && _elapsedBefore is >= 0 and <= long.MaxValue / 2;
        foreach (NvmeTally tally in _tallies)
        {
            isThere = isThere && state.TryRead(out tally.BytesRead) && state.TryRead(out tally.BytesWritten) && state.TryRead(out tally.Reads)
                && state.TryRead(out tally.Writes) && state.TryRead(out tally.MediaErrors) && state.TryRead(out tally.BusyTicks);
        }

        return isThere;
    }

    private static void Put(Span<byte> data, int at, long value) => BinaryPrimitives.WriteInt64LittleEndian(data[at..], value);

    private long Sum(Func<NvmeTally, long> counter) => _tallies.Sum(counter);
}
