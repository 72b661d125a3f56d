using System.CommandLine;
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
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Option<string> policy = new("--policy") { HelpName = "file", Description = "Who may have what; read again at SIGHUP.", Required = true };
        Option<string?> socket = new("--socket", "--socket-path") { HelpName = "path", Description = $"Where to listen; {BrokerPlace.OfMachine} for root." };
        Option<string?> audit = new("--audit") { HelpName = "file", Description = "Where decisions are written, a line of JSON each; standard error unless given." };
        command.Add(policy);
        command.Add(socket);
        command.Add(audit);
        command.SetAction((parsed, _) => RunAsync(
            parsed.GetValue(policy)!, parsed.GetValue(socket), parsed.GetValue(audit), parsed.InvocationConfiguration.Output));
    }

    private static async Task<int> RunAsync(string policy, string? socket, string? audit, TextWriter output)
    {
        FileDescriptor? listener = socket is null ? SocketActivation.TakeListener() : null;
        using ServiceManager manager = ServiceManager.Find();
        using StopSignals signals = new(besides: PosixSignal.SIGHUP);
        using ILoggerFactory logging = ServeVerb.CreateLogging(verbose: false);
        DeviceBrokerOptions options = new()
        {
            PolicyPath = Path.GetFullPath(policy),
            SocketPath = socket ?? PlaceToListen(isNeeded: listener is null),
            Listener = listener,
            AuditPath = audit,
            Logger = logging.CreateLogger("vfio"),
        };
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
        output.WriteLine(listener is null ? $"ready {options.SocketPath}" : "ready");
        try
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, signals.Token);
        }
        catch (OperationCanceledException)
        {
            // The verb ends by a signal.
        }

        manager.Stopping();
        return 0;
    }

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
