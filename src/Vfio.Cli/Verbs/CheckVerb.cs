using System.CommandLine;
using Vfio.Cli.Output;
using Vfio.Conformance;

namespace Vfio.Cli.Verbs;

/// <summary>Tries the sentences of the vfio-user specification at a server.</summary>
internal sealed class CheckVerb() : Verb("check", "Check any vfio-user server against the specification; ends with 1 on a violation.")
{
    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio check unix:/run/edu.sock", "every check; what is not a pass is explained"),
        new("vfio check unix:/run/edu.sock --only dma-map", "the checks with that word in their name"),
        new("vfio check unix:/run/edu.sock --only set-irqs.sum-wraps --verbose", "one of them, with all that was said"),
        new("vfio check unix:/tmp/s --server './server /tmp/s'", "start a server that ends with its client, again and again"),
        new("vfio check --list", "what is checked"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<string?> address = new("address") { Description = "The server: unix:/run/x.sock.", Arity = ArgumentArity.ZeroOrOne };
        Option<string[]> only = new("--only") { Description = "Only checks with this word in their name; may be given again.", AllowMultipleArgumentsPerToken = true };
        Option<bool> list = new("--list") { Description = "List the checks, and try none." };
        Option<string?> server = new("--server") { Description = "A shell command that starts the server, whenever nobody listens." };
        Option<double> patience = new("--patience") { Description = "Seconds that one answer may take.", DefaultValueFactory = _ => 2 };
        Option<bool> verbose = new("--verbose") { Description = "Print what was sent and what came back for every check." };
        Option<bool> json = Words.Json();
        command.Add(address);
        command.Add(only);
        command.Add(list);
        command.Add(server);
        command.Add(patience);
        command.Add(verbose);
        command.Add(json);
        patience.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<double>() <= 0)
                result.AddError("Patience is more than 0 seconds.");
        });
        command.Validators.Add(result =>
        {
            if (!result.GetValue(list) && result.GetValue(address)?.StartsWith("unix:", StringComparison.Ordinal) is not true)
                result.AddError("Give the server's socket as unix:PATH.");
        });
        command.SetAction(parsed =>
        {
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

            ConformanceOptions options = new()
            {
                Path = DeviceAddress.Parse(parsed.GetValue(address)!).Place,
                Timeout = TimeSpan.FromSeconds(parsed.GetValue(patience)),
                ServerCommand = parsed.GetValue(server),
                Chosen = chosen,
            };
            ConformanceReport report = ConformanceKit.Run(options, printer.Found, printer.Starting);
            printer.Finish(report);
            return report.Conforms ? 0 : CommandLine.Refused;
        });
    }
}
