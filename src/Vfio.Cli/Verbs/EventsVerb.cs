using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Text.Json;
using Vfio.Cli.Numbers;
using Vfio.Cli.Output;
using Vfio.Kernel;
using Vfio.Pci;

namespace Vfio.Cli.Verbs;

/// <summary>Prints events of the functions of this machine.</summary>
internal sealed class EventsVerb() : Verb("events", "Print events of the PCI functions of this machine, as they happen.")
{
    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio events", "hot plug, drivers, virtual functions, release requests and errors, until Ctrl-C"),
        new("vfio events --json --filter added --filter 0000:01:00.0", "one JSON object per line: all functions added, and all events of one function"),
        new("vfio events --open 0000:01:00.0", "open an assigned function, and close it when its release is requested"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Option<EventFilter[]> filters = new("--filter")
        {
            HelpName = "kind or function",
            Description = $"A kind of event or a function; may be repeated. Kinds: {string.Join(", ", EventFilter.Kinds)}.",
            CustomParser = ParseFilters,
        };
        Option<string?> open = new("--open") { HelpName = "device", Description = "Open this device too, and print its errors and release requests; a release request closes it." };
        Option<bool> json = new("--json") { Description = "Print one JSON object per line." };
        NumberOption<Duration> timeout = SharedOptions.Timeout();
        command.Add(filters);
        command.Add(timeout);
        command.Add(open);
        command.Add(json);
        command.SetAction((parsed, _) => TellAsync(
            parsed.InvocationConfiguration.Output, parsed.GetValue(filters) ?? [], parsed.GetValue(open), parsed.OpenOptions(timeout), parsed.GetValue(json)));
    }

    private static async Task TellAsync(TextWriter output, EventFilter[] filters, string? open, VfioDeviceOptions options, bool json)
    {
        using StopSignals signals = new();
        using DeviceEvents events = new();
        using PciDevice? device = open is null ? null : new PciDevice(VfioDevice.Open(open, options));
        if (device is not null)
            events.Listen(device);
        StandardStreams.Errors.WriteLine("listening");
        try
        {
            await foreach (DeviceEvent happened in events.ReadAllAsync(signals.Token))
            {
                if (filters.Length == 0 || filters.Any(filter => filter.Takes(happened)))
                    await output.WriteLineAsync(json ? ToJson(happened) : ToText(happened));
                if (happened.Kind == DeviceEventKind.ReleaseRequested && happened.Device == device?.Name)
                    device.Dispose();
            }
        }
        catch (OperationCanceledException)
        {
            // The verb ends by a signal.
        }
    }

    private static string ToText(DeviceEvent happened) =>
        string.Create(CultureInfo.InvariantCulture, $"{happened.At.ToLocalTime():HH:mm:ss.fff} {happened}");

    private static string ToJson(DeviceEvent happened) => Json.Line(writer =>
    {
        writer.WriteStartObject();
        writer.WriteString("at", happened.At);
        writer.WriteString("event", EventFilter.WordOf(happened.Kind));
        if (happened.Device.Length > 0)
            writer.WriteString("device", happened.Device);
        if (happened.Driver is { } driver)
            writer.WriteString("driver", driver);
        if (happened.VirtualFunctions is { } count)
            writer.WriteNumber("virtualFunctions", count);
        if (happened.Within is { } within)
            writer.WriteNumber("withinSeconds", within.TotalSeconds);
        if (happened.Detail is { } detail)
            writer.WriteString("detail", detail);
        writer.WriteEndObject();
    });

    private static EventFilter[] ParseFilters(ArgumentResult result)
    {
        List<EventFilter> filters = [];
        foreach (Token token in result.Tokens)
        {
            if (EventFilter.TryParse(token.Value) is { } filter)
                filters.Add(filter);
            else
                result.AddError($"'{token.Value}' is neither a function nor a kind of event: {string.Join(", ", EventFilter.Kinds)}.");
        }

        return [.. filters];
    }

    /// <summary>Events of a kind, or of a function.</summary>
    private sealed record EventFilter(DeviceEventKind? Kind, PciAddress? Function)
    {
        internal static IEnumerable<string> Kinds => Enum.GetValues<DeviceEventKind>().Select(WordOf);

        internal static string WordOf(DeviceEventKind kind) => JsonNamingPolicy.KebabCaseLower.ConvertName(kind.ToString());

        internal static EventFilter? TryParse(string word)
        {
            if (PciAddress.TryParse(word, out PciAddress address))
                return new EventFilter(null, address);
            DeviceEventKind[] kinds = [.. Enum.GetValues<DeviceEventKind>().Where(kind => WordOf(kind) == word)];
            return kinds.Length == 1 ? new EventFilter(kinds[0], null) : null;
        }

        internal bool Takes(DeviceEvent happened) =>
            happened.Kind == DeviceEventKind.Lost || happened.Kind == Kind || (Function is not null && happened.Function == Function);
    }
}
