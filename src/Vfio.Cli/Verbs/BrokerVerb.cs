using System.CommandLine;
using System.Net;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Vfio.Broker;
using Vfio.Broker.Control;
using Vfio.Cli.Output;
using Vfio.Native;
using Vfio.User;
using Vfio.User.Leases;

namespace Vfio.Cli.Verbs;

/// <summary>Assigns devices to users under a policy.</summary>
internal sealed class BrokerVerb() : Verb("broker", "Assign devices to the users of this machine under a written policy, and take them back clean.")
{
    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio broker --policy policy.json --socket /tmp/broker.sock", "for this user, on emulated devices, until Ctrl-C"),
        new("vfio broker --policy /etc/vfio/policy.json --audit /var/log/vfio-audit.jsonl", $"for all users, at {BrokerPlace.OfMachine}"),
        new("vfio policy check /etc/vfio/policy.json && systemctl reload vfio-broker", "another policy; leases go on"),
        new("vfio broker --policy policy.json --metrics 127.0.0.1:9464", "with metrics for Prometheus, at http://127.0.0.1:9464/metrics"),
        new("vfio broker --policy policy.json --socket /tmp/broker.sock --handover /tmp/broker.next", "another broker may take over"),
        new("vfio broker --policy policy.json --take-over /tmp/broker.next --handover /tmp/broker.next", "it does, leases and all"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Option<string> policy = new("--policy") { HelpName = "file", Description = "Who may have what; read again at SIGHUP.", Required = true };
        Option<string?> socket = new("--socket", "--socket-path") { HelpName = "path", Description = $"Where to listen; {BrokerPlace.OfMachine} for root." };
        Option<string?> audit = new("--audit") { HelpName = "file", Description = "Where decisions are written, a line of JSON each; standard error unless given." };
        Option<string?> metrics = new("--metrics")
        {
            HelpName = "address:port",
            Description = "Where Prometheus gets metrics, at /metrics over HTTP; nowhere unless given.",
        };
        Option<string?> takeOver = new("--take-over") { HelpName = "path", Description = "Take over the leases and the socket of the broker that waits there." };
        Option<string?> handover = new("--handover") { HelpName = "path", Description = "Where another broker, of the same user or root, may take over." };
        command.Add(policy);
        command.Add(socket);
        command.Add(audit);
        command.Add(metrics);
        command.Add(takeOver);
        command.Add(handover);
        command.SetAction((parsed, _) =>
        {
            string? place = parsed.GetValue(socket);
            string? predecessor = parsed.GetValue(takeOver);
            if (place is not null && predecessor is not null)
                throw new MisuseException("Give either --socket PATH or --take-over PATH, whose socket is taken over.");
            FileDescriptor? listener = place is null && predecessor is null ? SocketActivation.TakeListener() : null;
            return RunAsync(
                new DeviceBrokerOptions
                {
                    PolicyPath = Path.GetFullPath(parsed.GetValue(policy)!),
                    SocketPath = place ?? PlaceToListen(isNeeded: listener is null && predecessor is null),
                    Listener = listener,
                    AuditPath = parsed.GetValue(audit),
                    MetricsPlace = PlaceOf(parsed.GetValue(metrics)),
                    TakeOverPath = predecessor,
                    HandoverPath = parsed.GetValue(handover),
                },
                parsed.InvocationConfiguration.Output);
        });
    }

    private static async Task<int> RunAsync(DeviceBrokerOptions given, TextWriter output)
    {
        using ServiceManager manager = ServiceManager.Find();
        using StopSignals signals = new(besides: PosixSignal.SIGHUP);
        using ILoggerFactory logging = ServeVerb.CreateLogging(verbose: false);
        DeviceBrokerOptions options = given with { Logger = logging.CreateLogger("vfio") };
        using DeviceBroker broker = new(options);
        using PosixSignalRegistration hangup = PosixSignalRegistration.Create(PosixSignal.SIGHUP, signal =>
        {
            signal.Cancel = true;
            manager.Reloading();
            broker.TryReload();
            manager.Ready(StatusOf(broker));
        });
        manager.Watch(broker.Loop);
        manager.Ready(StatusOf(broker));
        output.WriteLine(options.SocketPath.Length > 0 ? $"ready {options.SocketPath}" : "ready");
        if (broker.MetricsPlace is { } place)
            output.WriteLine($"metrics http://{place}/metrics");
        try
        {
            await broker.Departed.WaitAsync(signals.Token);
        }
        catch (OperationCanceledException)
        {
            // The verb ends by a signal, or because another broker took over.
        }

        manager.Stopping();
        return 0;
    }

    private static IPEndPoint? PlaceOf(string? text) => text is null ? null
        : IPEndPoint.TryParse(text, out IPEndPoint? place) && (place.Port != 0 || text.EndsWith(":0", StringComparison.Ordinal)) ? place
        : throw new MisuseException($"--metrics {text} is no address and port: write 127.0.0.1:9464 or [::1]:9464.");

    private static string StatusOf(DeviceBroker broker) =>
        $"{broker.Policy.Devices.Count} devices, {broker.Policy.Rules.Count} rules";

    private static string PlaceToListen(bool isNeeded)
    {
        if (!isNeeded)
            return "";
        if (!UserAccount.IsRoot)
            return BrokerPlace.OfUser ?? throw new MisuseException("Give --socket PATH: this user has no XDG_RUNTIME_DIR.");

        // Whoever packages it makes the folder; by hand it is made here, for root and readable to all.
        Directory.CreateDirectory(
            Path.GetDirectoryName(BrokerPlace.OfMachine)!,
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupExecute
                | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
        return BrokerPlace.OfMachine;
    }
}
