using System.CommandLine;
using Vfio.Cli.Numbers;
using Vfio.Kernel;
using Vfio.Pci;

namespace Vfio.Cli.Verbs;

/// <summary>Makes virtual functions.</summary>
internal sealed class VirtualFunctionsVerb() : Verb("vfs", "Set how many virtual functions (SR-IOV) a function has.")
{
    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio vfs 0000:01:00.0 2", "make two; prints where they are"),
        new("vfio vfs 0000:01:00.0 0", "remove them"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<PciAddress> function = Words.Function();
        NumberArgument<int> count = new("count", NumberRules.Count(0, ushort.MaxValue, 2), "How many; 0 for none.");
        command.Add(function);
        command.Add(count);
        command.SetAction(parsed =>
        {
            foreach (PciAddress made in new Lender().SetVirtualFunctions(parsed.GetValue(function), parsed.GetValue(count)))
                parsed.InvocationConfiguration.Output.WriteLine(made);
        });
    }
}
