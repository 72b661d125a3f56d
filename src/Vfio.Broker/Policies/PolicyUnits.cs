using System.Globalization;

namespace Vfio.Broker.Policies;

/// <summary>Numbers of a policy that are texts: times, sizes, hexadecimal numbers.</summary>
internal static class PolicyUnits
{
    private static readonly (string Unit, TimeSpan Time)[] Times =
    [
        ("ms", TimeSpan.FromMilliseconds(1)), ("s", TimeSpan.FromSeconds(1)), ("min", TimeSpan.FromMinutes(1)), ("m", TimeSpan.FromMinutes(1)),
        ("h", TimeSpan.FromHours(1)), ("d", TimeSpan.FromDays(1)),
    ];

    private static readonly (char Unit, int Shift)[] Sizes = [('K', 10), ('M', 20), ('G', 30), ('T', 40)];

    /// <summary>The longest time.</summary>
    internal static TimeSpan LongestTime { get; } = TimeSpan.FromDays(366);

    /// <summary>A time: digits and a unit.</summary>
    /// <returns>Null when it is none, or longer than <see cref="LongestTime"/>.</returns>
    internal static TimeSpan? ReadTime(string text)
    {
        int digits = text.AsSpan().IndexOfAnyExceptInRange('0', '9');
        if (digits <= 0 || !uint.TryParse(text.AsSpan(0, digits), NumberStyles.None, CultureInfo.InvariantCulture, out uint count))
            return null;
        foreach ((string unit, TimeSpan time) in Times)
        {
            if (text.AsSpan(digits).SequenceEqual(unit))
                return count <= LongestTime / time ? count * time : null;
        }

        return null;
    }

    /// <summary>A size in bytes: digits, perhaps with a unit of 1024.</summary>
    /// <returns>Null when it is none.</returns>
    internal static ulong? ReadSize(string text)
    {
        int shift = text.Length > 0 ? Sizes.FirstOrDefault(size => size.Unit == text[^1]).Shift : 0;
        ReadOnlySpan<char> digits = shift > 0 ? text.AsSpan(0, text.Length - 1) : text;
        return ulong.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out ulong count) && count <= ulong.MaxValue >> shift
            ? count << shift
            : null;
    }

    /// <summary>A number of at most 32 bits: digits, or hexadecimal after 0x.</summary>
    /// <returns>Null when it is none.</returns>
    internal static uint? ReadNumber(string text)
    {
        bool isHex = text.StartsWith("0x", StringComparison.Ordinal);
        NumberStyles style = isHex ? NumberStyles.AllowHexSpecifier : NumberStyles.None;
        return uint.TryParse(text.AsSpan(isHex ? 2 : 0), style, CultureInfo.InvariantCulture, out uint number) ? number : null;
    }
}
