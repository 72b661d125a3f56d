using System.CommandLine;
using Vfio.Cli.Numbers;
using Vfio.Cli.Side;
using Vfio.Cli.Trace;
using Vfio.Tracing;

namespace Vfio.Cli.Verbs;

/// <summary>Shows devices and traces in a browser.</summary>
internal sealed class WebVerb() : SideVerb(SideProgram.Web, "See a device, or a trace, in the browser: config space live, registers, DMA, interrupts, every event.")
{
    /// <summary>Most devices on one page.</summary>
    internal const int MostDevices = 16;

    private const int DefaultKept = 1 << 20, MostKept = 1 << 24;

    private readonly Argument<string[]> _addresses = new("address")
    {
        Description = "Devices: 0000:01:00.0, unix:/run/x.sock, model:edu, lease:NAME. Without --socket they are only looked at.",
        Arity = new ArgumentArity(0, MostDevices),
    };

    private readonly Option<string?> _socket = new("--socket", "--socket-path") { HelpName = "path", Description = "Serve the device here, and trace what its user does with it." };
    private readonly Option<string?> _trace = new("--trace") { HelpName = "file", Description = "Show this trace of 'vfio trace' or 'vfio record'." };
    private readonly NumberOption<int> _port = new("--port", NumberRules.Count(0, 65535, 8080), 0, "The port on loopback; 0 for any that is free.");
    private readonly NumberOption<int> _keep = new(
        "--keep", NumberRules.Count(1 << 12, MostKept, 100_000), DefaultKept, "How many events are kept, the last ones: 48 bytes of memory each, and up to 256 of its data.");

    private readonly Option<string?> _broker = SharedOptions.Broker();
    private readonly Option<bool> _leases = new("--leases") { Description = "Show who holds which device of the broker." };
    private readonly Option<string?> _table = TraceArguments.Table();
    private readonly NumberOption<Duration> _timeout = SharedOptions.Timeout();
    private readonly TraceArguments _arguments = new();

    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio web model:nvme --socket /run/nvme.sock", "serve a device, and watch what its driver does"),
        new("vfio web 0000:01:00.0 unix:/run/a.sock", "look at two devices, side by side where wanted"),
        new("vfio web --trace a.vfiotrace", "a trace of 'vfio trace --to' or 'vfio record'"),
    ];

    /// <summary>What is asked for.</summary>
    internal WebRequest RequestOf(ParseResult parsed)
    {
        string[] addresses = parsed.GetValue(_addresses) ?? [];
        return new WebRequest(addresses, parsed.OpenOptions(_timeout))
        {
            Socket = parsed.GetValue(_socket),
            Trace = parsed.GetValue(_trace),
            Port = parsed.GetValue(_port),
            Keep = parsed.GetValue(_keep),
            Names = TraceArguments.ReadTable(parsed.GetValue(_table)),
            ShowsLeases = parsed.GetValue(_leases) || parsed.GetValue(_broker) is not null,
            Broker = parsed.GetValue(_broker),
            Options = _arguments.Of(parsed, addresses.FirstOrDefault(""), 0),
        };
    }

    /// <inheritdoc/>
    protected override void AddOptions(Command command)
    {
        command.Add(_addresses);
        command.Add(_socket);
        command.Add(_trace);
        command.Add(_port);
        command.Add(_keep);
        command.Add(_leases);
        command.Add(_broker);
        _arguments.AddTo(command, withLast: false);
        command.Add(_table);
        command.Add(_timeout);
    }

    /// <inheritdoc/>
    protected override void Check(ParseResult parsed)
    {
        string[] addresses = parsed.GetValue(_addresses) ?? [];
        bool isTrace = parsed.GetValue(_trace) is not null, isServed = parsed.GetValue(_socket) is not null;
        if (addresses.Length == 0 && !isTrace && !parsed.GetValue(_leases) && parsed.GetValue(_broker) is null)
            throw new MisuseException("Give an address, --trace FILE or --leases.");
        if (isServed && addresses.Length != 1)
            throw new MisuseException("With --socket give one address: the device that is served there.");
        if (isServed && isTrace)
            throw new MisuseException("Give either --socket PATH, for a live trace, or --trace FILE.");
    }
}

/// <summary>What <c>vfio web</c> is asked for.</summary>
/// <param name="Addresses">Devices.</param>
/// <param name="Open">How to open them.</param>
internal sealed record WebRequest(IReadOnlyList<string> Addresses, VfioDeviceOptions Open)
{
    /// <summary>Where the first device is served; null to look only.</summary>
    internal string? Socket { get; init; }

    /// <summary>A trace file; null for none.</summary>
    internal string? Trace { get; init; }

    /// <summary>The port; 0 for any.</summary>
    internal int Port { get; init; }

    /// <summary>How many events are kept.</summary>
    internal int Keep { get; init; } = 1 << 20;

    /// <summary>A table of register names; empty for none.</summary>
    internal byte[] Names { get; init; } = [];

    /// <summary>Whether the broker is asked for its leases.</summary>
    internal bool ShowsLeases { get; init; }

    /// <summary>The broker's socket; null for the usual one.</summary>
    internal string? Broker { get; init; }

    /// <summary>What of a served device is traced.</summary>
    internal TraceOptions Options { get; init; } = new();
}
