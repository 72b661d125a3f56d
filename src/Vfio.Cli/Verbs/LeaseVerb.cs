using System.CommandLine;
using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using Vfio.Cli.Leases;
using Vfio.Cli.Numbers;
using Vfio.Cli.Output;
using Vfio.Native.Sockets;
using Vfio.User.Leases;

namespace Vfio.Cli.Verbs;

/// <summary>Holds a device of the broker, alone or for as long as a program runs.</summary>
internal sealed class LeaseVerb() : Verb("lease", "Hold a device of the broker, until Ctrl-C or for as long as a program runs.")
{
    private const string DeviceVariable = "VFIO_DEVICE", LeaseVariable = "VFIO_LEASE";

    // As shells report them.
    private const int NotRunnable = 126, NotFound = 127;

    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio lease edu0", "hold it; meanwhile 'vfio show lease:edu0', or a program of this user, opens it"),
        new("vfio lease nic-vf -- ./driver", $"any free one of a pool, while the program runs; its address is in {DeviceVariable}"),
        new("vfio lease edu0 --socket /tmp/edu.sock", "hold it, and give it to the clients of a socket: prints the options for QEMU"),
        new("vfio lease edu0 -- sh -c 'vfio bench $VFIO_DEVICE'", "the same with a verb"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<string> name = new("name") { Description = "A device or a pool of the policy, or an address." };
        Argument<string[]> program = new("program") { Arity = ArgumentArity.ZeroOrMore, Description = "A program and its arguments, after --." };
        Option<string?> place = SharedOptions.Broker();
        NumberOption<Duration> timeout = SharedOptions.Timeout();
        Option<bool> json = SharedOptions.Json();
        command.Add(name);
        command.Add(program);
        Option<string?> socket = new("--socket", "--socket-path") { HelpName = "path", Description = "Where to listen for programs that want a path, as QEMU does." };
        command.Add(place);
        command.Add(socket);
        command.Add(timeout);
        command.Add(json);
        command.SetAction((parsed, _) => RunAsync(
            parsed.GetValue(name)!, parsed.GetValue(program) ?? [], parsed.GetValue(place), parsed.GetValue(socket), parsed.GetValue(timeout),
            parsed.GetValue(json), parsed.InvocationConfiguration.Output));
    }

    private static async Task<int> RunAsync(
        string name, string[] program, string? place, string? socket, TimeSpan timeout, bool json, TextWriter output)
    {
        using StopSignals signals = new();
        using BrokerClient broker = BrokerClient.Connect(place, timeout);
        LeaseRecord lease = broker.Ask(new BrokerRequest { Do = BrokerVerbs.Hold, Name = name }, name).Lease
            ?? throw new VfioException("hold", name, Errno.Protocol, "the broker gave no lease");
        string address = place is null ? $"lease:{lease.Device}" : $"lease:{lease.Device}?broker={Path.GetFullPath(place)}";
        using UnixListener? listener = socket is null ? null : UnixListener.Bind(socket, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        if (listener is not null)
            broker.Ask(new BrokerRequest { Do = BrokerVerbs.Listen }, lease.Device, listener.Descriptor);
        using CancellationTokenSource closing = new();
        Task watching = Task.Factory.StartNew(
            () => Watch(broker, closing.Token), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        try
        {
            if (program.Length > 0)
                return await RunProgramAsync(program, address, lease);
            if (json)
                output.WriteLine(Json.Line(writer => LeasePrinter.Write(writer, lease)));
            else
                output.WriteLine($"lease {lease.Id}: {lease.Device} by rule '{lease.Rule}'{UntilOf(lease)}; open it as {address}");
            if (socket is not null && !json)
                ConnectInstructions.Write(output, socket, libvirt: false);
            await Task.WhenAny(watching, Task.Delay(Timeout.InfiniteTimeSpan, signals.Token));
            return signals.Token.IsCancellationRequested ? 0 : CommandLine.Refused;
        }
        finally
        {
            await closing.CancelAsync();
            broker.Shutdown();
            await watching;
        }
    }

    /// <summary>Says what the broker notifies of, until the lease has ended.</summary>
    private static void Watch(BrokerClient broker, CancellationToken closing)
    {
        try
        {
            while (true)
            {
                BrokerReply notice = broker.WaitForEvent(Timeout.InfiniteTimeSpan)!;
                switch (notice.Event)
                {
                    case BrokerEvents.Wanted:
                        StandardStreams.Errors.WriteLine(string.Create(
                            CultureInfo.InvariantCulture, $"vfio: the device is wanted back within {notice.Within} s: {notice.Reason}"));
                        break;
                    case BrokerEvents.PolicyChanged:
                        StandardStreams.Errors.WriteLine("vfio: the policy was changed, and would not give this device again");
                        break;
                    case BrokerEvents.Ended:
                        StandardStreams.Errors.WriteLine($"vfio: the lease has ended: {notice.Reason}");
                        return;
                }
            }
        }
        catch (VfioException gone)
        {
            if (!closing.IsCancellationRequested)
                StandardStreams.Errors.WriteLine($"vfio: the lease has ended: {gone.Message}");
        }
    }

    private static async Task<int> RunProgramAsync(string[] program, string address, LeaseRecord lease)
    {
        ProcessStartInfo start = new(program[0], program[1..]);
        start.Environment[DeviceVariable] = address;
        start.Environment[LeaseVariable] = lease.Id.ToString(CultureInfo.InvariantCulture);
        try
        {
            // A signal of the terminal reaches the program too; it decides when it ends.
            using Process process = Process.Start(start)!;
            await process.WaitForExitAsync();
            return process.ExitCode;
        }
        catch (Win32Exception refusal)
        {
            StandardStreams.Errors.WriteLine($"vfio: {Failure.Translate("start", program[0], refusal).Message}");
            return refusal.NativeErrorCode == (int)Errno.NoEntry ? NotFound : NotRunnable;
        }
    }

    private static string UntilOf(LeaseRecord lease) =>
        lease.Until is { } until ? $" until {until.ToLocalTime():yyyy-MM-dd HH:mm:ss}" : "";
}
