using System.Globalization;

namespace Vfio.Cli.Numbers;

/// <summary>A time as it is typed and shown: a decimal number with a unit, <c>250ms</c>, <c>5s</c>, <c>1.5m</c>.</summary>
/// <param name="Time">The time; <see cref="Timeout.InfiniteTimeSpan"/> for one without an end.</param>
internal readonly record struct Duration(TimeSpan Time)
{
    private const string InfiniteWord = "infinite";

    // A time is shown in the last of these units of which it is a whole number.
    private static readonly (string Unit, long Ticks)[] Units =
    [
        ("us", TimeSpan.TicksPerMicrosecond), ("ms", TimeSpan.TicksPerMillisecond), ("s", TimeSpan.TicksPerSecond),
        ("m", TimeSpan.TicksPerMinute), ("h", TimeSpan.TicksPerHour), ("d", TimeSpan.TicksPerDay),
    ];

    /// <summary>No end: <c>infinite</c>.</summary>
    internal static readonly Duration Infinite = new(Timeout.InfiniteTimeSpan);

    /// <summary>Zero.</summary>
    internal static readonly Duration Zero = new(TimeSpan.Zero);

    public static implicit operator TimeSpan(Duration duration) => duration.Time;

    internal static Duration Microseconds(long count) => new(TimeSpan.FromMicroseconds(count));

    internal static Duration Milliseconds(long count) => new(TimeSpan.FromMilliseconds(count));

    internal static Duration Seconds(long count) => new(TimeSpan.FromSeconds(count));

    internal static Duration Minutes(long count) => new(TimeSpan.FromMinutes(count));

    internal static Duration Days(int count) => new(TimeSpan.FromDays(count));

    /// <summary>Reads a word: digits, perhaps a point and digits, perhaps a unit.</summary>
    /// <param name="word">The word.</param>
    /// <param name="plain">The unit of a number without one.</param>
    /// <returns>Null when it is no time, or longer than any; what is shorter than 100 ns is cut off.</returns>
    internal static Duration? Read(string word, string plain)
    {
        if (word == InfiniteWord)
            return Infinite;
        int length = word.AsSpan().IndexOfAnyExcept("0123456789.");
        string unit = length < 0 ? plain : word[length..] == "min" ? "m" : word[length..];
        ReadOnlySpan<char> digits = length < 0 ? word : word.AsSpan(0, length);
        if (digits.Length == 0 || digits[0] == '.' || digits[^1] == '.' ||
            !decimal.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal number))
        {
            return null;
        }

        foreach ((string name, long ticks) in Units)
        {
            if (name == unit)
                return number <= (decimal)TimeSpan.MaxValue.Ticks / ticks ? new Duration(new TimeSpan((long)(number * ticks))) : null;
        }

        return null;
    }

    /// <summary>As it would be typed.</summary>
    public override string ToString()
    {
        if (this == Infinite)
            return InfiniteWord;
        TimeSpan time = Time;
        (string unit, long ticks) = time == TimeSpan.Zero ? Units[2] : Array.FindLast(Units, one => time.Ticks % one.Ticks == 0);
        return unit is null ? $"{time.TotalMicroseconds}us" : $"{time.Ticks / ticks}{unit}";
    }
}
