using System.CommandLine;
using Vfio.Cli.Numbers;
using Vfio.Cli.Output;
using Vfio.Cli.Trace;
using Vfio.Tracing;
using Vfio.Tracing.Export;
using Vfio.Tracing.Names;
using Vfio.Tracing.Text;

namespace Vfio.Cli.Verbs;

/// <summary>Serves a device and shows what happens to it.</summary>
internal sealed class TraceVerb() : Verb("trace", "See what a driver does with a device: serves it, and shows each access, interrupt and mapping.")
{
    private const string StandardOutput = "standard output";

    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio trace model:edu --socket /run/edu.sock", "a line for each event; the options for QEMU are on standard error"),
        new("vfio trace unix:/run/a.sock --socket /run/b.sock --to a.vfiotrace", "between a device and its user, to a file"),
        new("vfio trace model:nvme --socket /run/n.sock --only bar0:0x0-0x3f,irq", "some registers, and interrupts"),
        new("vfio trace model:nvme --socket /run/n.sock --last 1000 --to n.vfiotrace", "what happened before the end"),
        new("vfio trace --from a.vfiotrace --json", "a file as lines of JSON"),
        new("vfio trace --from a.vfiotrace --as perfetto --to a.pftrace", "for ui.perfetto.dev: slices, counters, flows"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<string?> address = new("address")
        {
            Description = SharedOptions.Address().Description,
            Arity = ArgumentArity.ZeroOrOne,
        };
        Option<string?> socket = new("--socket", "--socket-path") { HelpName = "path", Description = "Where the traced device is served." };
        Option<string?> to = new("--to") { HelpName = "file", Description = "Write the trace to this file, as 'vfio trace --from' reads it." };
        Option<string?> from = new("--from") { HelpName = "file", Description = "Print this trace." };
        Option<string?> form = new("--as") { HelpName = "perfetto", Description = "With --from and --to: write the trace for ui.perfetto.dev and its trace processor." };
        form.AcceptOnlyFromAmong("perfetto");
        Option<bool> schema = new("--schema") { Description = "Print the JSON schema of tables for --names." };
        Option<string?> table = TraceArguments.Table();
        Option<bool> json = new("--json") { Description = "Print a line of JSON for each event." };
        NumberOption<Duration> timeout = SharedOptions.Timeout();
        TraceArguments arguments = new();
        command.Add(address);
        command.Add(socket);
        command.Add(to);
        command.Add(from);
        command.Add(form);
        arguments.AddTo(command);
        command.Add(table);
        command.Add(schema);
        command.Add(json);
        command.Add(timeout);
        command.SetAction(async (parsed, _) =>
        {
            TextWriter output = parsed.InvocationConfiguration.Output;
            int given = (parsed.GetValue(address) is null ? 0 : 1) + (parsed.GetValue(from) is null ? 0 : 1) + (parsed.GetValue(schema) ? 1 : 0);
            if (given != 1)
                throw new MisuseException("Give one of an address, --from FILE and --schema.");
            if (parsed.GetValue(schema))
            {
                output.Write(RegisterTable.Schema);
                return 0;
            }

            TracePrinter printer = new(output, parsed.GetValue(json));
            byte[] names = TraceArguments.ReadTable(parsed.GetValue(table));
            if (parsed.GetValue(from) is { } file)
            {
                TraceOptions choice = arguments.Of(parsed, "", 0);
                if ((parsed.GetValue(form) is null) != (parsed.GetValue(to) is null))
                    throw new MisuseException("To write another format give both --as and --to.");
                return parsed.GetValue(to) is { } exported
                    ? Export(file, exported, choice, names)
                    : Print(file, choice, new NamedEvents(printer.Print, printer.Flush, names));
            }

            string device = parsed.GetValue(address)!;
            string place = parsed.GetValue(socket) ?? throw new MisuseException("Give --socket PATH: where the traced device is served.");
            TraceOptions options = arguments.Of(parsed, device, 0);
            string? path = parsed.GetValue(to);
            using DeviceSource source = DeviceSource.Find(device, parsed.OpenOptions(timeout));
            using DeviceTrace trace = path is not null
                ? DeviceTrace.ToFile(path, options)
                : new DeviceTrace(_ => new NamedEvents(printer.Print, printer.Flush, names), options);
            return await new TracedServing(source, trace, path ?? StandardOutput).RunAsync(place, path is null ? StandardStreams.Errors : output);
        });
    }

    private static int Export(string path, string to, TraceOptions options, byte[] names)
    {
        using FileStream stream = UserFile.Create(to, 1 << 16);
        PerfettoWriter writer = new(stream);
        int code = Print(path, options, new NamedEvents((one, register) => writer.Write(one, register), () => { }, names));
        writer.Finish();
        return code;
    }

    private static int Print(string path, TraceOptions options, NamedEvents events)
    {
        using TraceReader reader = TraceReader.Open(path);
        foreach (TraceEvent one in ChosenEvents.Of(reader.ReadAll(), options))
            events.Write(one);
        events.Flush();
        if (reader.IsCut)
            StandardStreams.Errors.WriteLine($"vfio: {path} ends within an event: it is not whole");
        return 0;
    }
}
