using System.CommandLine;
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
    private const double UsualIdle = 60, LongestIdle = 24 * 60 * 60;
    private const int MostClients = 1024, LongestLog = 1024;

    // Together less than two seconds, after which a service manager's operator wonders.
    private static readonly TimeSpan EndTime = TimeSpan.FromSeconds(1.4);
    private static readonly TimeSpan LogTime = TimeSpan.FromMilliseconds(300);

    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio serve model:edu --socket /run/edu.sock", "lend a model; prints the line to paste for QEMU"),
        new("vfio serve model:edu --socket /run/edu.sock --user alice", "to one user only"),
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
        Option<double?> idle = new("--idle")
        {
            Description = "Seconds that a client may keep others waiting that has neither memory mapped nor an interrupt bound; 0 for ever. 60 unless said.",
        };
        Option<int?> clients = new("--clients") { Description = "How many clients to serve at a time, each with a device of its own; for models. 1 unless said." };
        Option<bool> stalling = new("--allow-stalling-files")
        {
            Description = "Take memory in files of file systems that a user's process or another machine serves (FUSE, NFS, overlay): they can hold the device up.",
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
        command.Add(idle);
        command.Add(clients);
        command.Add(stalling);
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
            if (result.GetValue(idle) is not (null or >= 0 and <= LongestIdle))
                result.AddError("--idle takes 0 to 86400 seconds.");
            if (result.GetValue(clients) is not (null or >= 1 and <= MostClients))
                result.AddError("--clients takes 1 to 1024.");
            if (result.GetValue(clients) > 1 && (result.GetValue(handover) ?? result.GetValue(takeOver)) is not null)
                result.AddError("--clients does not go with --handover and --take-over: one client's device goes on elsewhere.");
            if (result.GetValue(clients) > 1 && result.GetValue(address)?.StartsWith("model:", StringComparison.Ordinal) != true)
                result.AddError("--clients is for models: of another device there is only one.");
        });
        command.SetAction(async parsed =>
        {
            ILoggerFactory logging = CreateLogging(parsed.GetValue(verbose));
            TimeSpan wait = TimeSpan.FromSeconds(parsed.GetValue(patience));
            VfioUserServerOptions options = WhereToListen(
                parsed.GetValue(socket), parsed.GetValue(descriptor), parsed.GetValue(takeOver)) with
            {
                HandoverPath = parsed.GetValue(handover),
                Owner = parsed.GetValue(user) is { } name ? UserAccount.Find(name) : null,
                TurnTimeout = (parsed.GetValue(idle) ?? UsualIdle) is > 0 and double seconds ? TimeSpan.FromSeconds(seconds) : Timeout.InfiniteTimeSpan,
                MaxClients = parsed.GetValue(clients) ?? 1,
                AllowStallingFiles = parsed.GetValue(stalling),
                HandshakeTimeout = wait,
                MessageTimeout = wait,
                SendTimeout = wait,
                SpinTime = parsed.GetValue(poll) ? Timeout.InfiniteTimeSpan
                    : parsed.GetValue(spin) is { } microseconds ? TimeSpan.FromMicroseconds(microseconds)
                    : new VfioUserServerOptions().SpinTime,
                Logger = logging.CreateLogger("vfio"),
            };
            try
            {
                return await ServeAsync(parsed.GetValue(address)!, options, parsed.GetValue(libvirt), parsed.InvocationConfiguration.Output);
            }
            finally
            {
                // Lines that nobody reads keep nobody: they have this long to get out.
                await Task.WhenAny(Task.Run(logging.Dispose), Task.Delay(LogTime));
            }
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

    private static async Task<int> ServeAsync(string address, VfioUserServerOptions options, bool libvirt, TextWriter output)
    {
        using StopSignals signals = new();
        VfioUserServer? server = null;
        Task serving = Task.Factory.StartNew(Serve, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        Task stopped = Task.Delay(Timeout.InfiniteTimeSpan, signals.Token);
        if (await Task.WhenAny(serving, stopped) == stopped && await Task.WhenAny(serving, Task.Delay(EndTime)) != serving)
        {
            server?.Abandon();
            return 0;
        }

        await serving;
        return 0;

        void Serve()
        {
            using DeviceSource source = DeviceSource.Find(address);
            Func<IVfioDevice> open = source.Open;
            if (options.MaxClients > 1)
            {
                // This one was to find out whether the address is right.
                source.Dispose();
                open = () => VfioDevice.Open(address);
            }

            using VfioUserServer made = server = new(open, options);
            Invitation.Write(output, made.Path, libvirt);
            made.Run(signals.Token);
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
        builder.Services.Configure<ConsoleLoggerOptions>(options =>
        {
            options.LogToStandardErrorThreshold = LogLevel.Trace;

            // Where nobody reads it, lines are dropped and counted; a session waits for no reader.
            options.QueueFullMode = ConsoleLoggerQueueFullMode.DropWrite;
            options.MaxQueueLength = LongestLog;
        });
    });
}
