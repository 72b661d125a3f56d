using System.CommandLine;
using System.ComponentModel;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;
using Vfio.Cli.Numbers;
using Vfio.Cli.Output;
using Vfio.Cli.Trace;
using Vfio.Native;
using Vfio.Native.Files;
using Vfio.User;
using Vfio.User.Wire;
using Command = System.CommandLine.Command;

namespace Vfio.Cli.Verbs;

/// <summary>Serves any device as a vfio-user server.</summary>
internal sealed class ServeVerb() : Verb("serve", "Serve a device to other programs and to virtual machines, as a vfio-user server.")
{
    private const int MostClients = 1024, LongestLog = 1024;

    // The default of Linux's fs.nr_open: no process may have more open files.
    private const int MaxDescriptor = 1 << 20;

    // A service can wait longer than a person at a terminal, and a real device behind it may be slow to reset.
    private static readonly Duration ServedTimeout = new(new VfioDeviceOptions().Timeout);

    // Together less than two seconds, the longest time that 'vfio serve' takes to end.
    private static readonly TimeSpan EndTime = TimeSpan.FromSeconds(1.4);
    private static readonly TimeSpan LogTime = TimeSpan.FromMilliseconds(300);

    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio serve model:edu --socket /run/edu.sock", "serve a model; prints the options for QEMU"),
        new("vfio serve model:edu --socket /run/edu.sock --user alice", "to one user only"),
        new("vfio serve 'model:nvme?image=disk.raw' --socket /run/nvme.sock", "a disk on a raw image or a block device, which no other process can open meanwhile"),
        new("vfio serve 'model:nvme?image=disk.raw&readonly=1' --socket /run/nvme.sock", "the same read-only, beside other readers"),
        new("vfio serve 'model:igb?vfs=2&net=stream:/run/net.sock' --socket /run/igb.sock", "a network port; its virtual functions at /run/igb.sock.vf0 and .vf1"),
        new("vfio serve unix:/run/a.sock --socket /run/b.sock", "a proxy"),
        new("vfio serve model:edu --socket /run/edu.sock --capture edu.pcapng", "keep every message, for Wireshark"),
        new("vfio serve model:edu --socket /run/edu.sock --handover /run/edu.next", "accept a handover to a successor"),
        new("vfio serve model:edu --take-over /run/edu.next --handover /run/edu.next", "take over its client and device, and accept a handover too"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<string> address = SharedOptions.Address();
        Option<string?> socket = new("--socket", "--socket-path") { HelpName = "path", Description = "Where to listen." };
        OptionalNumberOption<int> descriptor = new(
            "--fd", NumberRules.Count(0, MaxDescriptor, 3), "A descriptor that listens already, in place of --socket.");
        Option<string?> takeOver = new("--take-over") { HelpName = "path", Description = "Take over the client and the device of the server that listens there." };
        Option<string?> handover = new("--handover") { HelpName = "path", Description = "Where a successor, of the same user or root, may ask for a handover." };
        Option<string?> user = new("--user") { HelpName = "name", Description = "The owner of the socket; root only. By default this user and its group may connect." };
        NumberOption<Duration> clientTimeout = new(
            "--client-timeout", NumberRules.Time(Duration.Milliseconds(1), Duration.Days(1), Duration.Seconds(30)), Duration.Seconds(30),
            "How long a client may take to negotiate, to finish a message or to read an answer.");
        OptionalNumberOption<Duration> spin = new(
            "--spin", NumberRules.Time(Duration.Zero, Duration.Seconds(1), Duration.Microseconds(50), plain: "us"),
            "How long to look for the next message before sleeping, while that is of use; a plain number is of microseconds; 100us unless said.");
        NumberOption<Duration> idle = new(
            "--idle", NumberRules.Time(Duration.Zero, Duration.Days(1), Duration.Seconds(60)), Duration.Seconds(60),
            "How long a client with neither memory mapped nor an interrupt bound may keep others waiting; 0 for ever.");
        NumberOption<int> clients = new(
            "--clients", NumberRules.Count(1, MostClients, 4), 1, "How many clients to serve at a time, each with a device of its own; for models.");
        Option<bool> stalling = new("--allow-stalling-files")
        {
            Description = "Accept memory in files of file systems that a user's process or another machine serves (FUSE, NFS, overlay): they can block the device.",
        };
        Option<bool> poll = new("--poll") { Description = "Never sleep: uses a whole core, for the lowest latency." };
        Option<bool> verbose = new("--verbose") { Description = "Log every session, and every message that is refused." };
        Option<bool> libvirt = new("--libvirt") { Description = "Print XML for libvirt too." };
        NumberOption<Duration> timeout = SharedOptions.Timeout(ServedTimeout);
        command.Add(address);
        command.Add(timeout);
        command.Add(socket);
        command.Add(descriptor);
        command.Add(takeOver);
        command.Add(handover);
        command.Add(user);
        command.Add(libvirt);
        command.Add(clientTimeout);
        command.Add(idle);
        command.Add(clients);
        command.Add(stalling);
        command.Add(spin);
        command.Add(poll);
        command.Add(verbose);
        CaptureArguments captures = new();
        captures.AddTo(command);
        command.SetAction(async parsed =>
        {
            object?[] places = [parsed.GetValue(socket), parsed.GetValue(descriptor), parsed.GetValue(takeOver)];
            int given = places.Count(place => place is not null);
            if (given > 1 || (given == 0 && !SocketActivation.IsActivated))
                throw new MisuseException("Give one of --socket PATH, --fd NUMBER and --take-over PATH, or be started by a socket unit.");
            if (parsed.GetValue(spin) is not null && parsed.GetValue(poll))
                throw new MisuseException("Give either --spin TIME or --poll.");
            bool isShared = parsed.GetValue(clients) > 1;
            if (isShared && (parsed.GetValue(handover) ?? parsed.GetValue(takeOver)) is not null)
                throw new MisuseException("--clients cannot be combined with --handover or --take-over: only one client's device can be handed over.");
            if (isShared && !parsed.GetValue(address)!.StartsWith("model:", StringComparison.Ordinal))
                throw new MisuseException("--clients needs a model: there is only one of any other device.");
            using CaptureArguments.Running? capture = captures.Begin(parsed, parsed.GetValue(address)!);
            ILoggerFactory logging = CreateLogging(parsed.GetValue(verbose));
            Load(logging);
            TimeSpan wait = parsed.GetValue(clientTimeout);
            TimeSpan turn = parsed.GetValue(idle);
            VfioUserServerOptions options = WhereToListen(
                parsed.GetValue(socket), parsed.GetValue(descriptor), parsed.GetValue(takeOver)) with
            {
                HandoverPath = parsed.GetValue(handover),
                Owner = parsed.GetValue(user) is { } name ? UserAccount.Find(name) : null,
                ContendedIdleTimeout = turn > TimeSpan.Zero ? turn : Timeout.InfiniteTimeSpan,
                MaxClients = parsed.GetValue(clients),
                AllowStallingFiles = parsed.GetValue(stalling),
                HandshakeTimeout = wait,
                MessageTimeout = wait,
                SendTimeout = wait,
                SpinTime = parsed.GetValue(poll) ? Timeout.InfiniteTimeSpan
                    : parsed.GetValue(spin) is { } time ? time
                    : new VfioUserServerOptions().SpinTime,
                Logger = logging.CreateLogger("vfio"),
                Capture = capture?.Capture,
            };
            try
            {
                return await ServeAsync(
                    parsed.GetValue(address)!, parsed.OpenOptions(timeout) with { Logger = options.Logger }, options, parsed.GetValue(libvirt),
                    parsed.InvocationConfiguration.Output);
            }
            finally
            {
                // Log lines that are not read delay the end for this long at most.
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

    private static async Task<int> ServeAsync(
        string address, VfioDeviceOptions how, VfioUserServerOptions options, bool libvirt, TextWriter output)
    {
        using StopSignals signals = new();
        VfioUserServer? server = null;
        VirtualFunctionServers? virtualServers = null;
        Task serving = Task.Factory.StartNew(Serve, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        Task stopped = Task.Delay(Timeout.InfiniteTimeSpan, signals.Token);
        if (await Task.WhenAny(serving, stopped) == stopped && await Task.WhenAny(serving, Task.Delay(EndTime)) != serving)
        {
            server?.Abandon();
            virtualServers?.Abandon();
            return 0;
        }

        await serving;
        return 0;

        void Serve()
        {
            using DeviceSource source = DeviceSource.Find(address, how, isSuccessor: options.TakeOverPath is not null);
            Func<IVfioDevice> open = source.Open;
            if (options.MaxClients > 1)
            {
                // It was opened only to check the address.
                source.Dispose();
                open = () => VfioDevice.Open(address, how);
            }

            using VfioUserServer made = server = new(open, options);
            using VirtualFunctionServers others = virtualServers = VirtualFunctionServers.Make(address, source.Guard?.VirtualFunctions ?? [], options);
            try
            {
                ConnectInstructions.Write(output, made.Path, libvirt);
                others.Write(output);
            }
            catch (VfioException unread) when (unread.Target == StandardStream.OutputName)
            {
                // The reader of the instructions may be gone: the server continues.
            }

            using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(signals.Token);
            others.Start(end);
            made.Run(end.Token);
            others.End();
        }
    }

    /// <summary>Loads all code and files that a log line needs, because a server without free descriptors can load nothing, and has to log
    /// that.</summary>
    /// <remarks>A message without text runs the same code and writes no line. The exception class and the time zone are loaded apart.</remarks>
    private static void Load(ILoggerFactory logging)
    {
        logging.CreateLogger("vfio").Log<object?>(LogLevel.Information, default, null, null, static (_, _) => null!);
        _ = new Win32Exception();
        _ = TimeZoneInfo.Local.BaseUtcOffset;
    }

    /// <summary>Log lines on standard error, of which those that nobody reads are dropped and counted.</summary>
    internal static ILoggerFactory CreateLogging(bool verbose) => LoggerFactory.Create(builder =>
    {
        builder.SetMinimumLevel(verbose ? LogLevel.Debug : LogLevel.Information);
        builder.AddSimpleConsole(options =>
        {
            options.SingleLine = true;
            options.TimestampFormat = "HH:mm:ss ";
        });

        // Standard output has the instructions only; the log goes to standard error.
        builder.Services.Configure<ConsoleLoggerOptions>(options =>
        {
            options.LogToStandardErrorThreshold = LogLevel.Trace;

            // If the log is not read, lines are dropped and counted; no session waits for the reader.
            options.QueueFullMode = ConsoleLoggerQueueFullMode.DropWrite;
            options.MaxQueueLength = LongestLog;
        });
    });
}
