using System.Numerics;

namespace Vfio.Cli.Nvme;

/// <summary>Counts times in buckets whose width is 1/32 of their value: percentiles within 3 %, without an allocation a value.</summary>
internal sealed class LatencyHistogram
{
    private const int SubBits = 5, Sub = 1 << SubBits;
    private readonly long[] _counts = new long[(64 - SubBits + 1) * Sub];

    /// <summary>How many values were added.</summary>
    internal long Count { get; private set; }

    /// <summary>The largest value, exactly.</summary>
    internal long Largest { get; private set; }

    internal void Add(long value)
    {
        _counts[Bucket(value)]++;
        Count++;
        Largest = Math.Max(Largest, value);
    }

    /// <summary>A value that a share of all values does not exceed; 0 when there are none.</summary>
    /// <param name="share">0 to 1.</param>
    internal long Percentile(double share)
    {
        long rank = Math.Max(1, (long)Math.Ceiling(Count * share));
        long seen = 0;
        for (int bucket = 0; bucket < _counts.Length; bucket++)
        {
            seen += _counts[bucket];
            if (seen >= rank)
                return Math.Min(UpperEnd(bucket), Largest);
        }

        return 0;
    }

    private static int Bucket(long value)
    {
        if (value < Sub)
            return (int)Math.Max(0, value);
        int shift = BitOperations.Log2((ulong)value) - SubBits;
        return ((shift + 1) * Sub) + (int)((value >> shift) - Sub);
    }

    private static long UpperEnd(int bucket)
    {
        if (bucket < Sub)
            return bucket;
        int shift = (bucket / Sub) - 1;
        return (((long)(bucket % Sub) + Sub + 1) << shift) - 1;
    }
}
