using System.CommandLine;
using Vfio.Cli.Numbers;
using Vfio.Cli.Output;
using Vfio.Conformance;

namespace Vfio.Cli.Verbs;

/// <summary>Checks a server against the sentences of the vfio-user specification.</summary>
internal sealed class CheckVerb() : Verb("check", "Check any vfio-user server against the specification; ends with 1 on a violation.")
{
    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio check unix:/run/edu.sock", "run every check; explains each that does not pass"),
        new("vfio check unix:/run/edu.sock --only dma-map", "the checks with that word in their name"),
        new("vfio check unix:/run/edu.sock --only set-irqs.sum-wraps --verbose", "one of them, with all messages"),
        new("vfio check unix:/tmp/s --server './server /tmp/s'", "start the server again whenever it ends with its client"),
        new("vfio check unix:/run/edu.sock --junit report.xml", "write a report for CI, even when interrupted"),
        new("vfio check --list", "list the checks"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<string?> address = new("address") { Description = "The server: unix:/run/x.sock.", Arity = ArgumentArity.ZeroOrOne };
        Option<string[]> only = new("--only")
        {
            HelpName = "word",
            Description = "Only checks with this word in their name; may be given again.",
            AllowMultipleArgumentsPerToken = true,
        };
        Option<bool> list = new("--list") { Description = "List the checks, and run none." };
        Option<string?> server = new("--server") { HelpName = "command", Description = "A shell command that starts the server; it is run whenever no server listens." };
        NumberOption<Duration> timeout = new(
            "--timeout", NumberRules.Time(Duration.Milliseconds(1), Duration.Seconds(3600), Duration.Seconds(2)), Duration.Seconds(2),
            "How long one answer may take; ?timeout= in the address goes before it.");
        Option<bool> verbose = new("--verbose") { Description = "Print the messages sent and received by every check." };
        Option<string?> junit = new("--junit") { HelpName = "file", Description = "Write a report in JUnit's XML to this file too." };
        Option<bool> json = SharedOptions.Json();
        command.Add(address);
        command.Add(only);
        command.Add(list);
        command.Add(server);
        command.Add(timeout);
        command.Add(verbose);
        command.Add(junit);
        command.Add(json);
        command.SetAction(parsed =>
        {
            if (!parsed.GetValue(list) && parsed.GetValue(address)?.StartsWith("unix:", StringComparison.Ordinal) is not true)
                throw new MisuseException("Give the server's socket as unix:PATH.");
            string[] words = parsed.GetValue(only) ?? [];
            Func<Check, bool> chosen = check => words.Length == 0 || words.Any(word => check.Name.Contains(word, StringComparison.OrdinalIgnoreCase));
            Check[] checks = [.. ConformanceKit.Checks.Where(chosen)];
            if (checks.Length == 0)
                throw new VfioException("check", string.Join(' ', words), Errno.NoEntry, "no check has that word in its name; see 'vfio check --list'");
            ConformancePrinter printer = new(parsed.InvocationConfiguration.Output, parsed.GetValue(verbose), parsed.GetValue(json));
            if (parsed.GetValue(list))
            {
                printer.List(checks);
                return 0;
            }

            // A file that cannot be written fails before the checks, not after them.
            using FileStream? file = parsed.GetValue(junit) is { } name ? UserFile.Create(name) : null;
            using StopSignals signals = new();
            ConformanceOptions options = new()
            {
                Path = DeviceAddress.Parse(parsed.GetValue(address)!).Place,
                Timeout = DeviceAddress.Parse(parsed.GetValue(address)!).Timeout ?? parsed.GetValue(timeout),
                ServerCommand = parsed.GetValue(server),
                Chosen = chosen,
                Cancellation = signals.Token,
            };
            ConformanceReport report = Run(options, printer, file, checks);
            printer.Finish(report);
            return signals.ExitCode > 0 ? signals.ExitCode : report.Conforms ? 0 : CommandLine.Refused;
        });
    }

    /// <summary>Runs the checks, and writes the file whatever ends them, even a reader of the output that is gone.</summary>
    private static ConformanceReport Run(ConformanceOptions options, ConformancePrinter printer, Stream? file, Check[] checks)
    {
        List<CheckResult> found = [];
        try
        {
            return ConformanceKit.Run(options, Found, printer.Starting);
        }
        finally
        {
            if (file is not null)
                JUnitReport.Write(file, new ConformanceReport(options.Path, found) { Untried = [.. checks.Except(found.Select(one => one.Check))] });
        }

        void Found(CheckResult result)
        {
            found.Add(result);
            printer.Found(result);
        }
    }
}
