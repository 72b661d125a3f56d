using System.CommandLine;
using System.CommandLine.Parsing;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Vfio.Cli.Numbers;
using Vfio.Cli.Output;
using Vfio.Cli.Trace;
using Vfio.Native.Errors;
using Vfio.Pci;
using Vfio.Run;
using Vfio.Testing;

namespace Vfio.Cli.Verbs;

/// <summary>Runs a program that finds devices of one's choice.</summary>
internal sealed class RunVerb() : Verb("run", "Run any VFIO program, unmodified, on devices of your choice: it needs no hardware, root or IOMMU.")
{
    // As shells report them.
    private const int NotRunnable = 126, NotFound = 127;

    // As a test's harness has it for what is wrong with more than the result of the test.
    private const int FoundCode = 99;

    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio run --device model:nvme?size=64M -- qemu-img info nvme://0000:01:00.0/1", "QEMU's own NVMe driver on an emulated disk"),
        new("vfio run --device 0000:05:00.0=model:edu --device model:nvme -- ./driver", "two devices, one at an address of your choice"),
        new("vfio run --device 'model:igb?vfs=2' -- ls /sys/bus/pci/devices", "a network port with two virtual functions: three devices"),
        new("vfio run --device unix:/run/x.sock -- vfio ls", "a device behind a socket; what the program sees"),
        new("vfio run --device model:nvme --inject unplug@1000 -- ./driver", "what the driver does when its device goes away"),
        new("vfio run --device model:nvme --fail-on leak,dma-fault -- ./driver", "exit code 99 when it leaves mappings, or its device misses memory"),
        new("vfio run --device model:nvme --no-mmap -- gdb ./driver", "without mapped BARs, a program can be debugged"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Option<GivenDevice[]> devices = new("--device", "-d")
        {
            HelpName = "address",
            Description = "A device, as model:nvme?size=64M or unix:PATH; 0000:05:00.0=model:nvme for an address of your choice. The first has 0000:01:00.0.",
            CustomParser = ParseDevices,
            Arity = ArgumentArity.OneOrMore,
            AllowMultipleArgumentsPerToken = false,
        };
        Option<bool> noMapping = new("--no-mmap") { Description = "Let no BAR be mapped; the program is not traced (ptrace) then, and can trace others." };
        Option<Fault[]> faults = new("--inject")
        {
            HelpName = "fault",
            Description = "Let every device fail: unplug@1000 (from its 1000th access on), lose-interrupt@3+1 (the third), late-interrupt=20ms, read=bar0:0x1c=0x3, "
                + "lose-write=bar0:0x1000-0x1fff, refuse-dma=ENOMEM@2, fail-reset.",
            CustomParser = ParseFaults,
            AllowMultipleArgumentsPerToken = false,
        };
        Option<RunFindingKind[]> failOn = new("--fail-on")
        {
            HelpName = "kinds",
            Description = "Fail (exit code 99) on what the program does wrong, with a line for each: dma-fault (a device misses mapped memory), unmapped (it reaches memory that "
                + "the program has unmapped), leak (mappings, eventfds or bus mastering left on).",
            CustomParser = ParseKinds,
            AllowMultipleArgumentsPerToken = false,
        };
        Option<bool> ordinary = new("--ordinary-sys") { Description = "Show the machine's own functions in /sys too; they are real." };
        Option<string?> log = new("--log") { HelpName = "file", Description = "Write a line to this file for each open, ioctl, register access, interrupt and DMA access." };
        Option<bool> json = new("--json") { Description = "Print what the program did, as JSON on standard error, when it has ended." };
        NumberOption<Duration> timeout = SharedOptions.Timeout();
        Argument<string[]> program = new("program") { Arity = ArgumentArity.OneOrMore, Description = "A program and its arguments, after --." };
        command.Add(devices);
        command.Add(faults);
        command.Add(failOn);
        command.Add(noMapping);
        command.Add(ordinary);
        command.Add(log);
        command.Add(json);
        command.Add(timeout);
        command.Add(program);
        command.SetAction((parsed, _) => RunAsync(new Request(
            parsed.GetValue(devices) ?? [], parsed.GetValue(faults) ?? [], parsed.OpenOptions(timeout), parsed.GetValue(program)!)
        {
            AllowMapping = !parsed.GetValue(noMapping),
            ShowMachine = parsed.GetValue(ordinary),
            FailOn = parsed.GetValue(failOn) ?? [],
            LogPath = parsed.GetValue(log),
            IsJson = parsed.GetValue(json),
        }));
    }

    private static async Task<int> RunAsync(Request request)
    {
        List<DeviceSource> sources = [];
        Exception? logFailure = null;
        ILoggerFactory logging = ServeVerb.CreateLogging(verbose: false);
        ILogger logger = logging.CreateLogger("vfio");
        StreamWriter? log = request.LogPath is null ? null : new StreamWriter(UserFile.Create(request.LogPath));
        try
        {
            List<RunDevice> devices = [];
            foreach (GivenDevice device in request.Devices)
            {
                DeviceSource source = DeviceSource.Find(device.Address, request.Open with { Logger = logger });
                sources.Add(source);
                devices.Add(new RunDevice(Opens(source.Open))
                {
                    Address = device.Place,
                    VirtualFunctions = [.. source.Guard?.VirtualFunctions.Select(function => Opens(function.Open)) ?? []],
                });
            }

            RunProgram program = new(request.Words[0], request.Words[1..]);
            using VfioRun run = VfioRun.Start(program, devices, new VfioRunOptions { AllowMapping = request.AllowMapping, ShowMachine = request.ShowMachine, Log = log });
            using PassedSignals signals = new(run);
            int code = await run.Exit;
            await run.Completion;
            logFailure = run.LogFailure;
            IReadOnlyList<RunFinding> findings = run.Findings;
            List<RunFinding> failures = [.. findings.Where(finding => request.FailOn.Contains(finding.Kind))];
            foreach (RunFinding finding in failures)
                StandardStreams.Errors.WriteLine($"vfio: {finding}");

            // The program's own failure says more.
            int result = code == 0 && failures.Count > 0 ? FoundCode : code;
            if (request.IsJson)
                StandardStreams.Errors.WriteLine(Json.Line(writer => Write(writer, code, run.Counts, findings)));
            return result;
        }
        catch (VfioException refusal) when (refusal.Operation == "starting")
        {
            CommandLine.Report(refusal, StandardStreams.Errors);
            return refusal.Errno == Errno.NoEntry ? NotFound : NotRunnable;
        }
        finally
        {
            sources.ForEach(source => source.Dispose());
            logging.Dispose();
            CloseLog(log, request.LogPath, logFailure);
        }

        Func<IVfioDevice> Opens(Func<IVfioDevice> open) => request.Faults.Length == 0 ? open : new FaultyOpening(open, request.Faults).Open;
    }

    private static void CloseLog(StreamWriter? log, string? path, Exception? failure)
    {
        try
        {
            log?.Dispose();
        }
        catch (IOException refusal)
        {
            failure ??= refusal;
        }

        // The exit code is the program's all the same.
        if (failure is not null)
            CommandLine.Report(new VfioException("writing the log", path!, FileErrors.ErrnoOf(failure), "the log is not whole"), StandardStreams.Errors);
    }

    private static void Write(Utf8JsonWriter writer, int code, RunCounts counts, IReadOnlyList<RunFinding> findings)
    {
        writer.WriteStartObject();
        writer.WriteNumber("exitCode", code);
        writer.WriteNumber("calls", counts.Calls);
        writer.WriteNumber("ioctls", counts.Ioctls);
        writer.WriteNumber("registerReads", counts.RegisterReads);
        writer.WriteNumber("registerWrites", counts.RegisterWrites);
        writer.WriteNumber("mappedAccesses", counts.MappedAccesses);
        writer.WriteNumber("dmaAccesses", counts.DmaAccesses);
        writer.WriteNumber("dmaBytes", counts.DmaBytes);
        writer.WriteNumber("dmaFaults", counts.DmaFaults);
        writer.WriteStartArray("findings");
        foreach (RunFinding finding in findings)
        {
            writer.WriteStartObject();
            writer.WriteString("kind", RunFinding.NameOf(finding.Kind));
            writer.WriteString("device", finding.Device);
            writer.WriteString("message", finding.Message);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static GivenDevice[] ParseDevices(ArgumentResult result)
    {
        List<GivenDevice> devices = [];
        foreach (string word in result.Tokens.Select(token => token.Value))
        {
            string[] parts = word.Split('=', 2);
            PciAddress? place = parts.Length == 2 && PciAddress.TryParse(parts[0], out PciAddress address) ? address : null;
            devices.Add(new GivenDevice(place, place is null ? word : parts[1]));
        }

        if (devices.GroupBy(device => device.Place).FirstOrDefault(same => same.Key is not null && same.Count() > 1) is { } twice)
            result.AddError($"two devices have the address {twice.Key}.");
        return [.. devices];
    }

    private static RunFindingKind[] ParseKinds(ArgumentResult result)
    {
        RunFindingKind[] all = Enum.GetValues<RunFindingKind>();
        List<RunFindingKind> kinds = [];
        foreach (string word in result.Tokens.SelectMany(token => token.Value.Split(',')))
        {
            int index = Array.FindIndex(all, kind => RunFinding.NameOf(kind) == word);
            if (index >= 0)
                kinds.Add(all[index]);
            else
                result.AddError($"'{word}' is nothing to fail on: use {string.Join(", ", all.Select(RunFinding.NameOf))}.");
        }

        return [.. kinds];
    }

    private static Fault[] ParseFaults(ArgumentResult result)
    {
        List<Fault> faults = [];
        foreach (string word in result.Tokens.Select(token => token.Value))
        {
            try
            {
                faults.Add(Fault.Parse(word));
            }
            catch (FormatException refusal)
            {
                result.AddError($"'{word}' is no fault: {refusal.Message}.");
            }
        }

        return [.. faults];
    }

    private sealed record Request(GivenDevice[] Devices, Fault[] Faults, VfioDeviceOptions Open, string[] Words)
    {
        internal bool AllowMapping { get; init; }

        internal bool ShowMachine { get; init; }

        internal RunFindingKind[] FailOn { get; init; } = [];

        internal string? LogPath { get; init; }

        internal bool IsJson { get; init; }
    }

    private sealed record GivenDevice(PciAddress? Place, string Address);

    /// <summary>Opens a device that fails; each time its faults count from 1 again.</summary>
    private sealed class FaultyOpening(Func<IVfioDevice> open, Fault[] faults)
    {
        private FaultyDevice? _last;

        internal IVfioDevice Open()
        {
            if (_last is { IsUnplugged: true })
                throw new VfioException("open", _last.Name, Errno.NoDevice, "it was unplugged, as --inject has it");
            _last = new FaultyDevice(open());
            foreach (Fault fault in faults)
                _last.Add(fault);
            return _last;
        }
    }
}
