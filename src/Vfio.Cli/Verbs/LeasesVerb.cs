using System.CommandLine;
using Vfio.Cli.Leases;
using Vfio.Cli.Output;
using Vfio.User.Leases;

namespace Vfio.Cli.Verbs;

/// <summary>Lists leases.</summary>
internal sealed class LeasesVerb() : Verb("leases", "List who has which device of the broker: this user's leases, or for an administrator all.")
{
    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio leases", "a table"),
        new("vfio leases --json", "the same as JSON, with times and processes"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Option<string?> place = SharedOptions.Broker();
        Option<bool> json = SharedOptions.Json();
        command.Add(place);
        command.Add(json);
        command.SetAction(parsed =>
        {
            TextWriter output = parsed.InvocationConfiguration.Output;
            using BrokerClient broker = BrokerClient.Connect(parsed.GetValue(place), SharedOptions.DefaultTimeout);
            IReadOnlyList<LeaseRecord> leases = broker.ListLeases();
            if (parsed.GetValue(json))
                Json.Print(output, writer => LeasePrinter.Write(writer, leases));
            else if (leases.Count == 0)
                output.WriteLine("no leases; 'vfio lease NAME' asks for one");
            else
                LeasePrinter.Print(output, leases);
        });
    }
}
