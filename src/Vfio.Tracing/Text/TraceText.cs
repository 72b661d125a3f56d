using System.Globalization;
using System.Text;
using Vfio.Native.Errors;

namespace Vfio.Tracing.Text;

/// <summary>Events as lines for people.</summary>
internal static class TraceText
{
    private const int MostDataShown = 16;

    /// <summary>The name of a region as a filter has it: <c>bar0</c>, <c>config</c>.</summary>
    internal static string NameOf(RegionIndex region) => region.ToString().ToLowerInvariant().Replace(' ', '-');

    /// <summary>One word for a kind of event, as JSON has it too.</summary>
    internal static string NameOf(TraceEventKind kind) => kind switch
    {
        TraceEventKind.Open => "open",
        TraceEventKind.Region => "region",
        TraceEventKind.InterruptKind => "interrupt-kind",
        TraceEventKind.ConfigSpace => "config-space",
        TraceEventKind.AddressRange => "address-range",
        TraceEventKind.Read => "read",
        TraceEventKind.Write => "write",
        TraceEventKind.SetInterrupts => "set-irq",
        TraceEventKind.Interrupt => "irq",
        TraceEventKind.Map => "map",
        TraceEventKind.Unmap => "unmap",
        TraceEventKind.UnmapAll => "unmap-all",
        TraceEventKind.DmaRead => "dma-read",
        TraceEventKind.DmaWrite => "dma-write",
        TraceEventKind.Reset => "reset",
        TraceEventKind.SetMigrationState => "migration",
        TraceEventKind.ReadState => "read-state",
        TraceEventKind.WriteState => "write-state",
        TraceEventKind.Error => "error",
        TraceEventKind.Restarted => "restarted",
        TraceEventKind.Removed => "removed",
        TraceEventKind.Close => "close",
        TraceEventKind.Lost => "lost",
        _ => $"kind-{(byte)kind}",
    };

    /// <summary>The line of an event: its number, time in seconds, session, thread, what.</summary>
    internal static string Line(in TraceEvent one, RegisterNames names) => string.Create(
        CultureInfo.InvariantCulture, $"{one.Index} {one.Nanoseconds / 1_000_000_000}.{one.Nanoseconds % 1_000_000_000:d9} s{one.Session} t{one.Thread} {What(one, names)}");

    /// <summary>What it is, without time and place in the trace.</summary>
    internal static string What(in TraceEvent one, RegisterNames names)
    {
        string what = $"{NameOf(one.Kind),-9} {Details(one, names)}".TrimEnd();
        return one.Error == Errno.None || one.Kind == TraceEventKind.Error ? what : $"{what} refused: {VfioException.Describe(one.Error)}";
    }

    /// <summary>A register by region, offset and name.</summary>
    internal static string Register(RegionIndex region, ulong offset, RegisterNames names) =>
        $"{NameOf(region)} 0x{offset:x4}{(names.Find(region, offset) is { } name ? " " + name : "")}";

    private static string Details(in TraceEvent one, RegisterNames names) => one.Kind switch
    {
        TraceEventKind.Open => PrintableText.Of(Encoding.UTF8.GetString(one.Data.Span)),
        TraceEventKind.Region => $"{NameOf(one.Region)} {one.Value} bytes",
        TraceEventKind.InterruptKind => $"{one.Interrupt} {one.Value} vectors",
        TraceEventKind.ConfigSpace => $"{one.Data.Length} bytes",
        TraceEventKind.AddressRange => $"0x{one.Place:x} 0x{one.Value:x} bytes",
        TraceEventKind.Read or TraceEventKind.Write => Access(one, names),
        TraceEventKind.SetInterrupts => Request(one),
        TraceEventKind.Interrupt => $"{one.Interrupt} {one.Place}",
        TraceEventKind.Map => $"0x{one.Place:x} 0x{one.Value:x} bytes {(DmaAccess)one.Number}",
        TraceEventKind.Unmap => $"0x{one.Place:x} 0x{one.Value:x} bytes",
        TraceEventKind.DmaRead or TraceEventKind.DmaWrite => $"0x{one.Place:x} {Data(one)}",
        TraceEventKind.SetMigrationState => $"{(MigrationState)one.Value}",
        TraceEventKind.ReadState or TraceEventKind.WriteState => $"{one.Length} bytes",
        TraceEventKind.Error => Refusal(one, names),
        TraceEventKind.Lost => $"{one.Value} events are missing here",
        _ => "",
    };

    private static string Access(in TraceEvent one, RegisterNames names)
    {
        StringBuilder text = new(Register(one.Region, one.Place, names));
        if (one.Error != Errno.None)
            return text.Append(CultureInfo.InvariantCulture, $" {one.Length} bytes").ToString();
        text.Append(" = ").Append(Data(one));
        if (one.Length <= sizeof(ulong) && names.FieldsOf(one.Region, one.Place, (int)one.Length, one.Value) is { Length: > 0 } fields)
            text.Append(" [").Append(fields).Append(']');
        if (one.DurationNanoseconds > 0)
            text.Append(CultureInfo.InvariantCulture, $" ({one.DurationNanoseconds} ns)");
        return text.ToString();
    }

    private static string Data(in TraceEvent one)
    {
        if (one.IsRedacted)
            return $"{one.Length} bytes, hash {one.Value:x16}";
        if (one.Length <= sizeof(ulong))
            return $"0x{one.Value.ToString($"x{2 * Math.Max(one.Length, 1)}")}";
        if (one.Data.IsEmpty)
            return $"{one.Length} bytes";
        string shown = Convert.ToHexStringLower(one.Data.Span[..Math.Min(one.Data.Length, MostDataShown)]);
        return $"{one.Length} bytes {shown}{(one.Length > MostDataShown ? "…" : "")}";
    }

    private static string Request(in TraceEvent one)
    {
        InterruptAction action = (InterruptAction)(one.Value & 0xff);
        InterruptData data = (InterruptData)(one.Value >> 8 & 0xff);
        if (action == InterruptAction.Trigger && data == InterruptData.None && one.Length == 0)
            return $"{one.Interrupt} disable";
        string verb = action switch
        {
            InterruptAction.Mask => "mask",
            InterruptAction.Unmask => "unmask",
            InterruptAction.Trigger => data == InterruptData.Events ? "bind" : "fire",
            _ => $"action {(byte)one.Value}",
        };
        int meant = 0;
        foreach (byte vector in one.Data.Span)
            meant += vector == 0 ? 0 : 1;
        string vectors = one.Length == 1 ? $"{one.Place}" : $"{one.Place}-{one.Place + Math.Max(one.Length, 1) - 1}";
        return $"{one.Interrupt} {verb} {vectors}{(data == InterruptData.Events ? $", {meant} eventfds" : "")}";
    }

    private static string Refusal(in TraceEvent one, RegisterNames names)
    {
        TraceEventKind refused = (TraceEventKind)one.Value;
        string place = refused is TraceEventKind.Read or TraceEventKind.Write ? $" {Register(one.Region, one.Place, names)}"
            : refused is TraceEventKind.Map or TraceEventKind.Unmap or TraceEventKind.DmaRead or TraceEventKind.DmaWrite ? $" 0x{one.Place:x}"
            : "";
        return $"{NameOf(refused)}{place} refused: {VfioException.Describe(one.Error)}";
    }
}
