using System.Numerics;
using Vfio.Guard.Emulation;

namespace Vfio.Devices.Igb;

/// <summary>The time between two interrupts of a vector, and the vectors that have to wait for it.</summary>
/// <remarks>82576 Datasheet, section 7.3.4: EITR. Its user has a lock around it.</remarks>
/// <param name="intervals">EITR of each vector.</param>
/// <param name="clock">The time.</param>
internal sealed class IgbModeration(RegisterCell[] intervals, TimeProvider clock)
{
    private readonly long[] _nextAt = new long[intervals.Length];
    private uint _due;

    /// <summary>Whether an interrupt waits for its time; any thread.</summary>
    internal bool HasDue => Volatile.Read(ref _due) != 0;

    /// <summary>Forgets what waits.</summary>
    internal void Reset()
    {
        _due = 0;
        Array.Clear(_nextAt);
    }

    /// <summary>Takes the vectors that had to wait; some may have to wait again.</summary>
    internal uint TakeDue()
    {
        uint due = _due;
        _due = 0;
        return due;
    }

    /// <summary>Starts the time of vectors that may be sent; the others wait.</summary>
    /// <param name="vectors">Those that are to be sent, one bit each.</param>
    /// <returns>Those that may be sent now.</returns>
    internal uint Admit(uint vectors)
    {
        uint admitted = 0;
        if (vectors == 0)
            return 0;
        long now = clock.GetTimestamp();
        for (uint left = vectors; left != 0; left &= left - 1)
        {
            int vector = BitOperations.TrailingZeroCount(left);
            uint bit = 1u << vector;
            if (now < _nextAt[vector])
            {
                _due |= bit;
                continue;
            }

            long interval = (long)(intervals[vector].Value >> 2 & 0x1fff);
            _nextAt[vector] = interval == 0 ? 0 : now + (interval * clock.TimestampFrequency / 1_000_000);
            admitted |= bit;
        }

        return admitted;
    }

    /// <summary>How long until the next vector may be sent; null when none waits.</summary>
    internal TimeSpan? UntilNext()
    {
        TimeSpan? wait = null;
        long now = clock.GetTimestamp();
        for (uint left = _due; left != 0; left &= left - 1)
        {
            TimeSpan until = clock.GetElapsedTime(now, _nextAt[BitOperations.TrailingZeroCount(left)]);
            if (wait is null || until < wait)
                wait = until;
        }

        return wait;
    }
}
