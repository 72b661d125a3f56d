using System.Globalization;

namespace Vfio.Cli.Bench;

/// <summary>Measured numbers for people, with their units.</summary>
internal static class Units
{
    /// <summary>A time of nanoseconds: <c>12.3 us</c>.</summary>
    internal static string Time(double nanoseconds) => nanoseconds switch
    {
        < 999.5 => string.Create(CultureInfo.InvariantCulture, $"{nanoseconds:f0} ns"),
        < 999.95e3 => string.Create(CultureInfo.InvariantCulture, $"{nanoseconds / 1e3:f1} us"),
        < 999.95e6 => string.Create(CultureInfo.InvariantCulture, $"{nanoseconds / 1e6:f1} ms"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{nanoseconds / 1e9:f1} s"),
    };

    /// <summary>A rate of something: <c>1.2 M/s</c>, <c>3.4 GB/s</c>.</summary>
    internal static string Rate(double perSecond, string what = "") => perSecond switch
    {
        < 999.5 => string.Create(CultureInfo.InvariantCulture, $"{perSecond:f0} {what}/s"),
        < 999.95e3 => string.Create(CultureInfo.InvariantCulture, $"{perSecond / 1e3:f1} k{what}/s"),
        < 999.95e6 => string.Create(CultureInfo.InvariantCulture, $"{perSecond / 1e6:f1} M{what}/s"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{perSecond / 1e9:f1} G{what}/s"),
    };
}
