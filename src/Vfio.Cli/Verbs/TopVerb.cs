using System.CommandLine;
using Vfio.Cli.Numbers;
using Vfio.Cli.Output;
using Vfio.Cli.Trace;
using Vfio.Tracing;
using Vfio.Tracing.Text;
using Vfio.User;

namespace Vfio.Cli.Verbs;

/// <summary>Shows what happens to a device, as rates.</summary>
internal sealed class TopVerb() : Verb("top", "See live how often a driver uses which register, with latencies, interrupts, DMA and refusals.")
{
    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio top model:nvme --socket /run/nvme.sock", "a screen each second; the options for QEMU are on standard error"),
        new("vfio top unix:/run/a.sock --socket /run/b.sock > rates.txt", "lines, where it is no terminal"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<string> address = SharedOptions.Address();
        Option<string> socket = new("--socket", "--socket-path") { HelpName = "path", Description = "Where the device is served.", Required = true };
        NumberOption<Duration> interval = new(
            "--interval", NumberRules.Time(Duration.Milliseconds(100), Duration.Days(1), Duration.Seconds(2)), Duration.Seconds(1), "How often to show.");
        Option<string?> table = TraceArguments.Table();
        NumberOption<Duration> timeout = SharedOptions.Timeout();
        TraceArguments arguments = new();
        command.Add(address);
        command.Add(socket);
        command.Add(interval);
        arguments.AddTo(command);
        command.Add(table);
        command.Add(timeout);
        command.SetAction(async (parsed, _) =>
        {
            string device = parsed.GetValue(address)!;
            byte[] names = TraceArguments.ReadTable(parsed.GetValue(table));
            TraceTotals totals = new();
            using StopSignals signals = new();
            using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(signals.Token);
            using DeviceSource source = DeviceSource.Find(device, parsed.OpenOptions(timeout));
            using DeviceTrace trace = new(_ => new NamedEvents(totals.Add, () => { }, names), arguments.Of(parsed, device, 0));
            using VfioUserServer server = new(() => new TracedDevice(source.Open(), trace), new VfioUserServerOptions { Path = parsed.GetValue(socket)! });
            ConnectInstructions.Write(StandardStreams.Errors, server.Path, libvirt: false);
            Task serving = server.RunAsync(end.Token);
            await new TopScreen(totals, parsed.InvocationConfiguration.Output, device).RunAsync(parsed.GetValue(interval), end.Token);
            end.Cancel();
            await serving;
            return 0;
        });
    }
}
