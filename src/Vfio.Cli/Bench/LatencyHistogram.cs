using System.Numerics;

namespace Vfio.Cli.Bench;

/// <summary>How long many runs of one operation took: counts by time, in steps of 1.6 %.</summary>
/// <remarks>64 steps to each doubling; adding allocates nothing.</remarks>
internal sealed class LatencyHistogram
{
    private const int StepBits = 6, Steps = 1 << StepBits;
    private readonly long[] _counts = new long[(64 - StepBits + 1) * Steps];

    /// <summary>How many runs there are.</summary>
    internal long Count { get; private set; }

    /// <summary>The time of all runs together, in nanoseconds.</summary>
    internal ulong Total { get; private set; }

    /// <summary>The longest run, exactly, in nanoseconds.</summary>
    internal ulong Longest { get; private set; }

    /// <summary>Adds a run.</summary>
    internal void Add(ulong nanoseconds)
    {
        _counts[PlaceOf(nanoseconds)]++;
        Count++;
        Total += nanoseconds;
        Longest = Math.Max(Longest, nanoseconds);
    }

    /// <summary>The time, in nanoseconds, that a part of the runs did not exceed; 0 when there are none.</summary>
    /// <param name="part">0 to 1: 0.5 for the median.</param>
    internal double Percentile(double part)
    {
        long wanted = Math.Max(1, (long)Math.Ceiling(part * Count));
        int place = 0;
        for (long seen = _counts[0]; seen < wanted && place < _counts.Length - 1; seen += _counts[place])
            place++;
        return Math.Min(TimeOf(place), Longest);
    }

    /// <summary>How the runs spread between two times, in columns of equal width on a logarithmic scale.</summary>
    /// <param name="from">Lower end in nanoseconds; what is below counts to the first column.</param>
    /// <param name="to">Upper end; what is above is left out.</param>
    /// <param name="columns">How many columns.</param>
    internal long[] Spread(double from, double to, int columns)
    {
        long[] spread = new long[columns];
        double width = Math.Max(Math.Log(to / from), 1e-9) / columns;
        for (int place = 0; place < _counts.Length && TimeOf(place) <= to; place++)
        {
            if (_counts[place] > 0)
                spread[Math.Clamp((int)(Math.Log(Math.Max(TimeOf(place), from) / from) / width), 0, columns - 1)] += _counts[place];
        }

        return spread;
    }

    private static int PlaceOf(ulong nanoseconds)
    {
        if (nanoseconds < Steps)
            return (int)nanoseconds;
        int shift = BitOperations.Log2(nanoseconds) - StepBits;
        return (shift * Steps) + (int)(nanoseconds >> shift);
    }

    /// <summary>The middle of what counts at a place.</summary>
    private static double TimeOf(int place)
    {
        if (place < Steps)
            return place;
        int shift = (place / Steps) - 1;
        return (Steps + (place % Steps) + 0.5) * Math.Pow(2, shift);
    }
}
