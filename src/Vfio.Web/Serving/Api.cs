using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Vfio.Cli.Leases;
using Vfio.Native.Errors;
using Vfio.Tracing;
using Vfio.Tracing.Names;
using Vfio.Tracing.Text;
using Vfio.User.Leases;
using Vfio.Web.Devices;
using Vfio.Web.Events;

namespace Vfio.Web.Serving;

/// <summary>What the page's scripts ask for, as JSON. Numbers of 64 bits are hex in strings, times are nanoseconds since the trace
/// began.</summary>
/// <param name="state">What is shown.</param>
internal sealed class Api(WatchState state)
{
    private const int MostRows = 500, MostBuckets = 2000, MostRegisters = 2000, MostText = 400;

    /// <summary>Whether the answer may take a walk over all events.</summary>
    internal static bool Scans(string path) => path is "/api/events" or "/api/timeline" or "/api/interrupts";

    /// <summary>Answers a request.</summary>
    /// <param name="method">GET or POST.</param>
    /// <param name="path">What is asked for.</param>
    /// <param name="query">What of it.</param>
    /// <param name="gone">Cancelled when nobody waits for the answer any more.</param>
    /// <returns>Writes the answer; null where there is no such thing.</returns>
    /// <exception cref="VfioException">The device or the broker refused.</exception>
    internal Action<Utf8JsonWriter>? Find(string method, string path, IQueryCollection query, CancellationToken gone)
    {
        TraceView? trace = state.Trace;
        return (method, path) switch
        {
            ("GET", "/api/events") when trace is not null => json => WriteEvents(json, trace, query, gone),
            ("GET", "/api/timeline") when trace is not null => json => WriteTimeline(json, trace, query, Timeline.OfAll, gone),
            ("GET", "/api/interrupts") when trace is not null => json => WriteTimeline(json, trace, query, Timeline.OfInterrupts, gone),
            ("GET", "/api/dma") when trace is not null => json => WriteDma(json, trace),
            ("GET", "/api/registers") when DeviceOf(query) is { } device =>
                json => WriteRegisters(json, device, Text(query, "filter"), query["all"] == "1"),
            ("POST", "/api/read") when DeviceOf(query) is { } device => ReadRegister(device, query),
            ("GET", "/api/pictures") => WritePictures,
            ("GET", "/api/compare") => json => WriteComparison(json, query),
            ("POST", "/api/keep") when DeviceOf(query) is { } device => Keep(device),
            ("GET", "/api/leases") when state.Request.ShowsLeases => AskBroker(),
            _ => null,
        };
    }

    /// <summary>Writes one event as a row of the list.</summary>
    private static void WriteRow(Utf8JsonWriter json, in TraceEvent one, RegisterNames names)
    {
        string kind = TraceText.NameOf(one.Kind), what = TraceText.What(one, names);
        json.WriteStartObject();
        json.WriteNumber("i", one.Index);
        json.WriteNumber("t", one.Nanoseconds);
        json.WriteNumber("s", one.Session);
        json.WriteNumber("th", one.Thread);
        json.WriteString("k", kind);
        json.WriteString("x", PrintableText.Of(what[kind.Length..].TrimStart(), MostText));
        json.WriteBoolean("e", one.Error != Errno.None);
        json.WriteEndObject();
    }

    private static void WriteEvents(Utf8JsonWriter json, TraceView trace, IQueryCollection query, CancellationToken gone)
    {
        EventSpan events = trace.Store.Events;
        trace.Find(Text(query, "filter")).With(events, matches =>
        {
            int count = (int)Math.Min(Number(query, "count") ?? 100, MostRows);
            int from = Number(query, "at") is { } time
                ? matches.PositionOf(events.FindTime((ulong)time))
                : (int)Math.Min(Number(query, "from") ?? 0, int.MaxValue);
            from = Math.Clamp(from, 0, matches.Count);
            json.WriteStartObject();
            json.WriteNumber("total", matches.Count);
            json.WriteNumber("from", from);
            json.WriteNumber("first", events.First);
            json.WriteStartArray("rows");
            for (int position = from; position < Math.Min(from + count, matches.Count); position++)
            {
                TraceEvent one = events.EventAt(matches[position]);
                WriteRow(json, one, trace.Sessions.NamesOf(one.Session));
            }

            json.WriteEndArray();
            json.WriteEndObject();
            return 0;
        }, gone);
    }

    private static void WriteTimeline(
        Utf8JsonWriter json, TraceView trace, IQueryCollection query, TimelineMaker make, CancellationToken gone)
    {
        EventSpan events = trace.Store.Events;
        int buckets = (int)Math.Clamp(Number(query, "buckets") ?? 300, 1, MostBuckets);
        Timeline line = trace.Find(Text(query, "filter")).With(
            events, matches => make(events, matches, (ulong?)Number(query, "from"), (ulong?)Number(query, "to"), buckets, gone), gone);
        json.WriteStartObject();
        json.WriteNumber("start", line.Start);
        json.WriteNumber("end", line.End);
        json.WriteStartArray("lanes");
        foreach (TimelineLane lane in line.Lanes)
        {
            json.WriteStartObject();
            json.WriteString("name", lane.Name);
            json.WriteStartArray("counts");
            foreach (int count in lane.Counts)
                json.WriteNumberValue(count);
            json.WriteEndArray();
            json.WriteStartArray("marks");
            foreach ((int bucket, ulong time, string what) in lane.Marks)
            {
                json.WriteStartArray();
                json.WriteNumberValue(bucket);
                json.WriteNumberValue(time);
                json.WriteStringValue(what);
                json.WriteEndArray();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private void WriteDma(Utf8JsonWriter json, TraceView trace)
    {
        (List<DmaUse> mapped, List<DmaUse> ended, List<DmaRefusal> refused) = trace.Dma.Take();
        json.WriteStartObject();
        json.WriteBoolean("seen", state.Request.Trace is not null || state.Request.Options.SeesDma);
        if (state.Devices.Select(device => device.Source?.Guard).FirstOrDefault(guard => guard is not null) is { } guard)
            json.WriteNumber("guard", guard.Refusals.DmaAccesses);
        json.WriteNumber("refusals", trace.Dma.Refusals);
        WriteUses(json, "mapped", mapped);
        WriteUses(json, "ended", ended);
        json.WriteStartArray("refused");
        foreach (DmaRefusal refusal in refused)
        {
            json.WriteStartObject();
            json.WriteString("what", TraceText.NameOf(refusal.Kind));
            json.WriteString("place", Hex(refusal.Place));
            json.WriteNumber("count", refusal.Count);
            json.WriteString("why", VfioException.Describe(refusal.Error));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteUses(Utf8JsonWriter json, string name, List<DmaUse> uses)
    {
        json.WriteStartArray(name);
        foreach (DmaUse use in uses)
        {
            json.WriteStartObject();
            json.WriteString("start", Hex(use.Start));
            json.WriteString("length", Hex(use.Length));
            json.WriteString("access", ((DmaAccess)use.Access).ToString());
            json.WriteNumber("session", use.Session);
            json.WriteNumber("reads", use.Reads);
            json.WriteNumber("writes", use.Writes);
            json.WriteNumber("readBytes", use.ReadBytes);
            json.WriteNumber("writtenBytes", use.WrittenBytes);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private void WriteRegisters(Utf8JsonWriter json, WatchedDevice device, string filter, bool withUnused)
    {
        RegisterNames names = state.NamesOf(device);
        string[] words = filter.ToLowerInvariant().Split(' ', StringSplitOptions.RemoveEmptyEntries);
        List<RegisterUse> uses = state.Trace?.Registers.Take() ?? [];
        HashSet<(uint, ulong)> used = [.. uses.Select(use => (use.Region, use.Offset))];
        if (withUnused || state.Trace is null)
        {
            uses.AddRange(names.Registers.Where(register => !used.Contains((register.Region, register.Offset)))
                .Select(register => new RegisterUse(register.Region, register.Offset, register.Bytes)));
            uses = [.. uses.OrderBy(use => use.Region).ThenBy(use => use.Offset)];
        }

        int matching = 0;
        json.WriteStartObject();
        json.WriteStartArray("rows");
        foreach (RegisterUse use in uses)
        {
            RegisterNames known = use.Session > 0 ? state.Trace!.Sessions.NamesOf(use.Session) : names;
            RegionIndex region = new(use.Region);
            string name = known.Find(region, use.Offset) ?? "";
            string line = $"{TraceText.NameOf(region)} 0x{use.Offset:x4} {name}".ToLowerInvariant();
            if (!Array.TrueForAll(words, word => line.Contains(word, StringComparison.Ordinal)) || matching++ >= MostRegisters)
                continue;
            json.WriteStartObject();
            json.WriteString("region", TraceText.NameOf(region));
            json.WriteNumber("number", use.Region);
            json.WriteString("offset", Hex(use.Offset));
            json.WriteNumber("bytes", use.Bytes);
            json.WriteString("name", name);
            json.WriteNumber("reads", use.Reads);
            json.WriteNumber("writes", use.Writes);
            json.WriteNumber("refusals", use.Refusals);
            WriteValue(json, "read", use.LastRead, use.Bytes);
            WriteValue(json, "written", use.LastWritten, use.Bytes);
            if ((use.LastRead ?? use.LastWritten) is { } value)
                json.WriteString("fields", known.FieldsOf(region, use.Offset, use.Bytes, value));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteNumber("total", matching);
        json.WriteBoolean("canRead", device.CanReadRegisters);
        json.WriteNumber("uncounted", state.Trace?.Registers.Uncounted ?? 0);
        json.WriteEndObject();
    }

    private Action<Utf8JsonWriter> ReadRegister(WatchedDevice device, IQueryCollection query)
    {
        RegionIndex region = new((uint)(Number(query, "region") ?? 0));
        ulong offset = (ulong)(Number(query, "offset") ?? 0);
        int bytes = (int)(Number(query, "bytes") ?? 4);
        if (bytes is not (1 or 2 or 4 or 8))
            throw new VfioException("reading a register", device.View.Name, Errno.InvalidArgument, "1, 2, 4 or 8 bytes are read");
        ulong value = device.ReadRegister(region, offset, bytes);
        return json =>
        {
            json.WriteStartObject();
            WriteValue(json, "value", value, bytes);
            json.WriteString("fields", state.NamesOf(device).FieldsOf(region, offset, bytes, value));
            json.WriteEndObject();
        };
    }

    private void WritePictures(Utf8JsonWriter json)
    {
        json.WriteStartArray();
        foreach ((string key, string name, _) in state.Pictures)
        {
            json.WriteStartObject();
            json.WriteString("key", key);
            json.WriteString("name", name);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private void WriteComparison(Utf8JsonWriter json, IQueryCollection query)
    {
        (string Key, string Name, byte[] Config)[] pictures = [.. state.Pictures];
        byte[] Picture(string side) => pictures.FirstOrDefault(picture => picture.Key == query[side]).Config ?? [];
        bool all = query["all"] == "1";
        ComparedRegister[] registers = [.. ConfigDifference.Of(Picture("left"), Picture("right"))];
        json.WriteStartObject();
        json.WriteNumber("total", registers.Length);
        json.WriteNumber("different", registers.Count(register => register.Differs));
        json.WriteStartArray("rows");
        foreach (ComparedRegister register in registers.Where(register => all || register.Differs))
        {
            json.WriteStartObject();
            json.WriteString("structure", register.Structure);
            json.WriteString("name", register.Name);
            json.WriteString("offset", register.Offset.ToString("x3", CultureInfo.InvariantCulture));
            WriteValue(json, "left", register.Left?.Value, register.Left?.Bytes ?? 0);
            WriteValue(json, "right", register.Right?.Value, register.Right?.Bytes ?? 0);
            json.WriteBoolean("differs", register.Differs);
            json.WriteStartArray("fields");
            foreach ((string name, string left, string right) in register.Fields)
                json.WriteStringValue($"{name} {left} → {right}");
            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private Action<Utf8JsonWriter> Keep(WatchedDevice device)
    {
        device.Look();
        string time = DateTime.Now.ToString("HH:mm:ss", CultureInfo.InvariantCulture);
        Moment moment = state.Moments.Keep($"{device.View.Name}, kept at {time}", device.Config);
        return json =>
        {
            json.WriteStartObject();
            json.WriteString("key", $"kept{moment.Number}");
            json.WriteString("name", moment.Name);
            json.WriteEndObject();
        };
    }

    private Action<Utf8JsonWriter> AskBroker()
    {
        IReadOnlyList<LeaseRecord> leases = state.AskBroker();
        return json => LeasePrinter.Write(json, leases);
    }

    private WatchedDevice? DeviceOf(IQueryCollection query) =>
        Number(query, "device") is { } number && number < state.Devices.Count ? state.Devices[(int)number] : null;

    private static void WriteValue(Utf8JsonWriter json, string name, ulong? value, int bytes)
    {
        if (value is { } number)
            json.WriteString(name, $"0x{number.ToString($"x{2 * bytes}", CultureInfo.InvariantCulture)}");
        else
            json.WriteNull(name);
    }

    private static string Hex(ulong value) => $"0x{value:x}";

    private static string Text(IQueryCollection query, string name) => query[name].FirstOrDefault() ?? "";

    private static long? Number(IQueryCollection query, string name)
    {
        string text = Text(query, name);
        bool isHex = text.StartsWith("0x", StringComparison.Ordinal);
        NumberStyles style = isHex ? NumberStyles.AllowHexSpecifier : NumberStyles.None;
        return long.TryParse(isHex ? text.AsSpan(2) : text, style, CultureInfo.InvariantCulture, out long number) && number >= 0 ? number : null;
    }
}
