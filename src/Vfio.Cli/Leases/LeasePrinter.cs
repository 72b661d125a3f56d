using System.Globalization;
using System.Text.Json;
using Vfio.Cli.Output;
using Vfio.User.Leases;

namespace Vfio.Cli.Leases;

/// <summary>Prints leases, for people and for machines.</summary>
internal static class LeasePrinter
{
    private static readonly Column[] Columns =
    [
        Column.Number("LEASE"), Column.Whole("DEVICE"), Column.Whole("USER"), "STATE", Column.Number("FOR"), Column.Number("LEFT"), "RULE", "PROGRAM",
    ];

    /// <summary>A table.</summary>
    internal static void Print(TextWriter output, IReadOnlyList<LeaseRecord> leases) =>
        TextTable.Print(output, Columns, leases.Select(RowOf));

    /// <summary>An array.</summary>
    internal static void Write(Utf8JsonWriter json, IReadOnlyList<LeaseRecord> leases)
    {
        json.WriteStartArray();
        foreach (LeaseRecord lease in leases)
            Write(json, lease);
        json.WriteEndArray();
    }

    /// <summary>An object.</summary>
    internal static void Write(Utf8JsonWriter json, LeaseRecord lease)
    {
        json.WriteStartObject();
        json.WriteNumber("lease", lease.Id);
        json.WriteString("device", lease.Device);
        json.WriteString("address", lease.Address);
        json.WriteString("user", lease.User);
        json.WriteNumber("uid", lease.UserId);
        json.WriteNumber("pid", lease.ProcessId);
        json.WriteString("program", lease.Program);
        json.WriteString("rule", lease.Rule);
        json.WriteString("state", lease.State);
        json.WriteBoolean("held", lease.IsHeld);
        json.WriteBoolean("direct", lease.IsDirect);
        json.WriteString("since", TimeOf(lease.Since));
        json.WriteString("until", lease.Until is { } until ? TimeOf(until) : null);
        json.WriteEndObject();
    }

    /// <summary>A time in its largest whole unit, as a person says it: <c>45s</c>, <c>12m</c>, <c>3h</c>.</summary>
    internal static string Rough(TimeSpan time)
    {
        double seconds = Math.Max(0, time.TotalSeconds);
        return seconds < 60 ? string.Create(CultureInfo.InvariantCulture, $"{seconds:0}s")
            : seconds < 3600 ? string.Create(CultureInfo.InvariantCulture, $"{Math.Floor(seconds / 60):0}m")
            : seconds < 86400 ? string.Create(CultureInfo.InvariantCulture, $"{Math.Floor(seconds / 3600):0}h")
            : string.Create(CultureInfo.InvariantCulture, $"{Math.Floor(seconds / 86400):0}d");
    }

    private static string[] RowOf(LeaseRecord lease) =>
    [
        $"{lease.Id}", lease.Device, lease.User, lease.State, Rough(DateTimeOffset.UtcNow - lease.Since),
        lease.Until is { } until ? Rough(until - DateTimeOffset.UtcNow) : "-", lease.Rule, Path.GetFileName(lease.Program) ?? "?",
    ];

    private static string TimeOf(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture);
}
