using System.CommandLine;
using Vfio.Cli.Demo;

namespace Vfio.Cli.Verbs;

/// <summary>The process of the demo that drives the device.</summary>
internal sealed class DemoUserVerb() : Verb(Word, "The user's side of the demo; the demo starts it.")
{
    internal const string Word = "demo-user";

    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples => [new("vfio demo", "starts it")];

    /// <inheritdoc/>
    internal override bool IsHidden => true;

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<string> address = SharedOptions.Address();
        command.Add(address);
        command.SetAction(parsed =>
        {
            using UserSteps steps = new(parsed.GetValue(address)!);
            DemoProcess.Perform(steps.Steps, Console.In, parsed.InvocationConfiguration.Output);
        });
    }
}
