using Vfio.Guard;

namespace Vfio.Devices.Igb;

/// <summary>Counts frames, octets and what became of them. Counters stay at their largest value.</summary>
/// <remarks>82576 Datasheet, section 8.18. Any thread. Lengths are those on the wire, with the frame check sequence.</remarks>
internal sealed class IgbStatistics(RegisterFile<IgbRegister> registers)
{
    private const int CheckBytes = 4;

    internal void Count(IgbStatistic statistic, ulong amount = 1) =>
        registers.Count(IgbRegister.Statistic, (int)statistic, amount, uint.MaxValue, wraps: false);

    /// <summary>Counts a frame that came from the wire, whether or not it is for this station.</summary>
    /// <param name="bytes">Its length without the frame check sequence.</param>
    internal void CountArrival(int bytes)
    {
        Count(IgbStatistic.TotalReceived);
        CountOctets(IgbStatistic.TotalOctetsReceived, bytes + CheckBytes);
    }

    /// <summary>Counts a frame that passed the filters.</summary>
    internal void CountReceived(ReadOnlySpan<byte> frame)
    {
        Count(IgbStatistic.GoodReceived);
        CountOctets(IgbStatistic.GoodOctetsReceived, frame.Length + CheckBytes);
        CountKind(frame, IgbStatistic.BroadcastsReceived, IgbStatistic.MulticastsReceived);
        CountSize(IgbStatistic.Received64, frame.Length + CheckBytes);
    }

    /// <summary>Counts a frame that was sent.</summary>
    internal void CountSent(ReadOnlySpan<byte> frame)
    {
        Count(IgbStatistic.TotalSent);
        Count(IgbStatistic.GoodSent);
        CountOctets(IgbStatistic.TotalOctetsSent, frame.Length + CheckBytes);
        CountOctets(IgbStatistic.GoodOctetsSent, frame.Length + CheckBytes);
        CountKind(frame, IgbStatistic.BroadcastsSent, IgbStatistic.MulticastsSent);
        CountSize(IgbStatistic.Sent64, frame.Length + CheckBytes);
    }

    private void CountKind(ReadOnlySpan<byte> frame, IgbStatistic broadcasts, IgbStatistic multicasts)
    {
        if (IgbFilter.IsBroadcast(frame))
            Count(broadcasts);
        else if (IgbFilter.IsMulticast(frame))
            Count(multicasts);
    }

    // The counters of sizes follow each other: 64, to 127, to 255, to 511, to 1023, from 1024 on.
    private void CountSize(IgbStatistic first, int bytes)
    {
        int number = bytes <= 64 ? 0 : Math.Min(5, System.Numerics.BitOperations.Log2((uint)bytes) - 5);
        Count(first + number);
    }

    // 64 bits in two registers.
    private void CountOctets(IgbStatistic low, int bytes)
    {
        if (registers.Count(IgbRegister.Statistic, (int)low, (ulong)bytes, uint.MaxValue, wraps: true))
            Count(low + 1);
    }
}
