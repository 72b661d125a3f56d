using System.CommandLine;
using System.Runtime.InteropServices;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;
using Vfio.Native;
using Vfio.User;
using Command = System.CommandLine.Command;

namespace Vfio.Cli.Verbs;

/// <summary>Lends any device as a vfio-user server.</summary>
internal sealed class ServeVerb() : Verb("serve", "Lend a device to other programs and to virtual machines, as a vfio-user server.")
{
    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio serve model:edu --socket /run/edu.sock", "lend a model; prints the line to paste for QEMU"),
        new("vfio serve model:edu --socket /run/edu.sock --user alice", "to one user only"),
        new("vfio serve 'model:nvme?image=disk.raw' --socket /run/nvme.sock", "a disk of a raw image or a block device, for nobody else meanwhile"),
        new("vfio serve 'model:nvme?image=disk.raw&readonly=1' --socket /run/nvme.sock", "one that is only read, beside other readers"),
        new("vfio serve unix:/run/a.sock --socket /run/b.sock", "a proxy"),
        new("vfio serve model:edu --socket /run/edu.sock --handover /run/edu.next", "ready for a successor"),
        new("vfio serve model:edu --take-over /run/edu.next --handover /run/edu.next", "which goes on with its client and device, and waits too"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<string> address = Words.Address();
        Option<string?> socket = new("--socket", "--socket-path") { Description = "Where to listen." };
        Option<int?> descriptor = new("--fd") { Description = "A descriptor that listens already, in place of --socket." };
        Option<string?> takeOver = new("--take-over") { Description = "Go on in place of a server that waits there, with its client and device." };
        Option<string?> handover = new("--handover") { Description = "Where a successor may ask to go on, of the same user or root." };
        Option<string?> user = new("--user") { Description = "Who may connect, for root to say; otherwise this user and its group." };
        Option<double> patience = new("--patience")
        {
            Description = "Seconds that a client may take to negotiate, to finish a message or to read an answer.",
            DefaultValueFactory = _ => 30,
        };
        Option<double?> spin = new("--spin")
        {
            Description = "Microseconds to look for the next message before sleeping, while that is of use; 0 for never. 100 unless said.",
        };
        Option<bool> poll = new("--poll") { Description = "Never sleep: one core is taken, and answers come soonest." };
        Option<bool> verbose = new("--verbose") { Description = "Log every session, and every message that is refused." };
        Option<bool> libvirt = new("--libvirt") { Description = "Print XML for libvirt too." };
        command.Add(address);
        command.Add(socket);
        command.Add(descriptor);
        command.Add(takeOver);
        command.Add(handover);
        command.Add(user);
        command.Add(libvirt);
        command.Add(patience);
        command.Add(spin);
        command.Add(poll);
        command.Add(verbose);
        command.Validators.Add(result =>
        {
            object?[] places = [result.GetValue(socket), result.GetValue(descriptor), result.GetValue(takeOver)];
            int given = places.Count(place => place is not null);
            if (given > 1 || (given == 0 && !SocketActivation.IsActivated))
                result.AddError("Give one of --socket PATH, --fd NUMBER and --take-over PATH, or be started by a socket unit.");
            if (result.GetValue(spin) is not null && result.GetValue(poll))
                result.AddError("Give either --spin MICROSECONDS or --poll.");
            if (result.GetValue(spin) is not (null or (>= 0 and <= 1_000_000)))
                result.AddError("--spin takes 0 to 1000000 microseconds.");
        });
        command.SetAction(async parsed =>
        {
            using ILoggerFactory logging = CreateLogging(parsed.GetValue(verbose));
            TimeSpan wait = TimeSpan.FromSeconds(parsed.GetValue(patience));
            VfioUserServerOptions options = WhereToListen(
                parsed.GetValue(socket), parsed.GetValue(descriptor), parsed.GetValue(takeOver)) with
            {
                HandoverPath = parsed.GetValue(handover),
                HandshakeTimeout = wait,
                MessageTimeout = wait,
                SendTimeout = wait,
                SpinTime = parsed.GetValue(poll) ? Timeout.InfiniteTimeSpan
                    : parsed.GetValue(spin) is { } microseconds ? TimeSpan.FromMicroseconds(microseconds)
                    : new VfioUserServerOptions().SpinTime,
                Logger = logging.CreateLogger("vfio"),
            };
            await ServeAsync(
                parsed.GetValue(address)!, options, parsed.GetValue(user), parsed.GetValue(libvirt),
                parsed.InvocationConfiguration.Output);
        });
    }

    private static VfioUserServerOptions WhereToListen(string? path, int? descriptor, string? predecessor)
    {
        if (predecessor is not null)
            return new VfioUserServerOptions { TakeOverPath = predecessor };
        FileDescriptor? listener = descriptor is { } number ? FileDescriptor.Inherited(number)
            : path is null ? SocketActivation.TakeListener()
            : null;
        return new VfioUserServerOptions { Path = path, Listener = listener };
    }

    private static async Task ServeAsync(
        string address, VfioUserServerOptions options, string? user, bool libvirt, TextWriter output)
    {
        using CancellationTokenSource end = new();
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using DeviceSource source = DeviceSource.Find(address, isSuccessor: options.TakeOverPath is not null);
        using VfioUserServer server = new(source.Open, options);
        if (user is not null && options.Path is not null)
            UserAccount.Find(user).TakeOwnership(options.Path);

        Invitation.Write(output, server.Path, libvirt);
        await server.RunAsync(end.Token);

        void Stop(PosixSignalContext signal)
        {
            signal.Cancel = true;
            end.Cancel();
        }
    }

    private static ILoggerFactory CreateLogging(bool verbose) => LoggerFactory.Create(builder =>
    {
        builder.SetMinimumLevel(verbose ? LogLevel.Debug : LogLevel.Information);
        builder.AddSimpleConsole(options =>
        {
            options.SingleLine = true;
            options.TimestampFormat = "HH:mm:ss ";
        });

        // Standard output is for what the user asked for; the log goes beside it.
        builder.Services.Configure<ConsoleLoggerOptions>(options => options.LogToStandardErrorThreshold = LogLevel.Trace);
    });
}
