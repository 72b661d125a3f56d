using System.Globalization;
using System.Numerics;

namespace Vfio.Cli.Numbers;

/// <summary>The kinds of numbers that options and arguments take. Nothing else is a number: no sign, exponent, blank or group of digits.</summary>
internal static class NumberRules
{
    private static readonly (string Unit, int Shift)[] SizeUnits = [("K", 10), ("M", 20), ("G", 30), ("T", 40), ("P", 50)];

    /// <summary>A count: decimal digits.</summary>
    internal static NumberRule<T> Count<T>(T least, T most, T example)
        where T : struct, IBinaryInteger<T>, IMinMaxValue<T> => new(
            "a whole number", $"{least} to {most}", $"{example}", word => Within(ReadDigits<T>(word), least, most));

    /// <summary>A register's value or offset: decimal, or hexadecimal after 0x.</summary>
    internal static NumberRule<ulong> Register(ulong most, ulong example) => new(
        "a number", $"0 to 0x{most:x}", $"{example} or 0x{example:x}", word => Within(ReadHexOrDigits<ulong>(word), 0UL, most));

    /// <summary>Bytes: decimal, hexadecimal after 0x, or decimal with a unit of 1024: K, M, G, T or P.</summary>
    internal static NumberRule<T> Size<T>(T least, T most, T example)
        where T : struct, IBinaryInteger<T>, IMinMaxValue<T> => new(
            "a number of bytes",
            $"{WriteSize(least)} to {WriteSize(most)}",
            WriteSize(example) is { } text && text != $"{example}" ? $"{example} or {text}" : $"{example}",
            word => Within(ReadSize<T>(word), least, most));

    /// <summary>One of a few numbers.</summary>
    internal static NumberRule<int> OneOf(params int[] values) => new(
        "a number", $"{string.Join(", ", values[..^1])} or {values[^1]}", $"{values[^1]}",
        word => ReadDigits<int>(word) is { } value && values.Contains(value) ? value : null);

    /// <summary>A time: decimal with a unit, or without one if <paramref name="plain"/> has the default unit.</summary>
    /// <param name="least">The shortest.</param>
    /// <param name="most">The longest finite time.</param>
    /// <param name="example">What to type.</param>
    /// <param name="plain">The unit of a plain number.</param>
    /// <param name="infinite">Whether <c>infinite</c> is valid too.</param>
    internal static NumberRule<Duration> Time(Duration least, Duration most, Duration example, string plain = "s", bool infinite = false) => new(
        "a time", $"{least} to {most}{(infinite ? $", or {Duration.Infinite}" : "")}", $"{example}", word => Duration.Read(word, plain) switch
        {
            null => null,
            { } value when value == Duration.Infinite => infinite ? value : null,
            { } value => value.Time >= least.Time && value.Time <= most.Time ? value : null,
        });

    private static T? Within<T>(T? value, T least, T most)
        where T : struct, IComparisonOperators<T, T, bool> => value is { } number && number >= least && number <= most ? number : null;

    private static T? ReadDigits<T>(ReadOnlySpan<char> word)
        where T : struct, IBinaryInteger<T> => T.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out T value) ? value : null;

    private static T? ReadHexOrDigits<T>(ReadOnlySpan<char> word)
        where T : struct, IBinaryInteger<T>
    {
        if (!word.StartsWith("0x", StringComparison.OrdinalIgnoreCase))
            return ReadDigits<T>(word);
        return UInt128.TryParse(word[2..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out UInt128 value) &&
            value <= UInt128.CreateSaturating(ulong.MaxValue)
            ? Fit<T>(value)
            : null;
    }

    private static T? ReadSize<T>(ReadOnlySpan<char> word)
        where T : struct, IBinaryInteger<T>
    {
        foreach ((string unit, int shift) in SizeUnits)
        {
            if (word.EndsWith(unit, StringComparison.OrdinalIgnoreCase))
                return ReadDigits<ulong>(word[..^unit.Length]) is { } count ? Fit<T>((UInt128)count << shift) : null;
        }

        return ReadHexOrDigits<T>(word);
    }

    private static T? Fit<T>(UInt128 value)
        where T : struct, IBinaryInteger<T>
    {
        T fit = T.CreateSaturating(value);
        return UInt128.CreateSaturating(fit) == value ? fit : null;
    }

    private static string WriteSize<T>(T value)
        where T : struct, IBinaryInteger<T>
    {
        UInt128 bytes = UInt128.CreateSaturating(value);
        foreach ((string unit, int shift) in Enumerable.Reverse(SizeUnits))
        {
            if (bytes != 0 && bytes >> shift << shift == bytes)
                return $"{bytes >> shift}{unit}";
        }

        return $"{value}";
    }
}
