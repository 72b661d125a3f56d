using System.CommandLine;
using Vfio.Cli.Demo;

namespace Vfio.Cli.Verbs;

/// <summary>The process of the demo that owns the device.</summary>
internal sealed class DemoOwnerVerb() : Verb(Word, "The owner's side of the demo; the demo starts it.")
{
    internal const string Word = "demo-owner";

    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples => [new("vfio demo", "starts it")];

    /// <inheritdoc/>
    internal override bool IsHidden => true;

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<string> socket = new("socket") { Description = "The socket's path." };
        Argument<string?> user = new("user") { Description = "The owner of the socket.", Arity = ArgumentArity.ZeroOrOne };
        command.Add(socket);
        command.Add(user);
        command.SetAction(parsed =>
        {
            using OwnerSteps steps = new(parsed.GetValue(socket)!, parsed.GetValue(user));
            DemoProcess.Perform(steps.Steps, Console.In, parsed.InvocationConfiguration.Output);
        });
    }
}
