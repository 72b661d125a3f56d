using System.CommandLine;
using Vfio.Cli.Numbers;
using Vfio.Cli.Output;
using Vfio.Cli.Trace;
using Vfio.Run;
using Vfio.Tracing;

namespace Vfio.Cli.Verbs;

/// <summary>Records a device, so that it answers the same driver again.</summary>
internal sealed class RecordVerb() : Verb("record", "Record what a driver asks and what the device answers, to replay it without the device.")
{
    // The most that a vfio-user message carries, and a program writes at once; longer DMA is cut by the memory's owner.
    private const int MaxDataBytes = 1 << 20;

    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio record model:nvme?size=64M --to n.vfiotrace -- qemu-io -c 'read 0 4k' nvme://0000:01:00.0/1", "a program, as under 'vfio run'"),
        new("vfio record unix:/run/a.sock --to a.vfiotrace --socket /run/b.sock", "whoever uses the device at that socket"),
        new("vfio run --device 'model:replay?from=n.vfiotrace&mode=register' -- qemu-io -c 'read 0 4k' nvme://0000:01:00.0/1", "the same program again, without the device"),
        new("vfio trace --from n.vfiotrace", "what was recorded"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<string> address = SharedOptions.Address();
        Option<string> to = new("--to") { HelpName = "file", Description = "Write the recording to this file.", Required = true };
        Option<string?> socket = new("--socket", "--socket-path") { HelpName = "path", Description = "Where the device is served, in place of a program." };
        Option<bool> redact = new("--redact-dma")
        {
            Description = "Of memory, keep sizes and hashes only: for drivers whose device writes no memory, or to show a recording and not to replay it.",
        };
        Argument<string[]> program = new("program") { Arity = ArgumentArity.ZeroOrMore, Description = "A program and its arguments, after --." };
        NumberOption<Duration> timeout = SharedOptions.Timeout();
        command.Add(address);
        command.Add(to);
        command.Add(socket);
        command.Add(redact);
        command.Add(timeout);
        command.Add(program);
        command.SetAction(async (parsed, _) =>
        {
            string[] words = parsed.GetValue(program) ?? [];
            if (words.Length > 0 == parsed.GetValue(socket) is not null)
                throw new MisuseException("Give either --socket PATH or a program after --.");
            string path = parsed.GetValue(to)!;
            TraceOptions options = new() { SeesDma = true, MaxDataBytes = MaxDataBytes, RedactsDma = parsed.GetValue(redact), RingEvents = 1 << 18 };
            using DeviceSource source = DeviceSource.Find(parsed.GetValue(address)!, parsed.OpenOptions(timeout));
            using DeviceTrace trace = DeviceTrace.ToFile(path, options);
            return words.Length == 0
                ? await new TracedServing(source, trace, path).RunAsync(parsed.GetValue(socket)!, parsed.InvocationConfiguration.Output)
                : await RunAsync(source, trace, path, words);
        });
    }

    private static async Task<int> RunAsync(DeviceSource source, DeviceTrace trace, string path, string[] words)
    {
        int code;
        using (VfioRun run = VfioRun.Start(new RunProgram(words[0], words[1..]), [new RunDevice(() => new TracedDevice(source.Open(), trace))]))
        {
            using PassedSignals signals = new(run);
            code = await run.Exit;
            await run.Completion;
        }

        Task reporting = TracedServing.ReportAsync(trace, path);
        trace.Dispose();
        await reporting;

        // The exit code is the program's all the same.
        StandardStreams.Errors.WriteLine(
            $"vfio: {trace.Events} events in {path}; replay it with: vfio run --device 'model:replay?from={path}&mode=register' -- PROGRAM");
        return code;
    }
}
