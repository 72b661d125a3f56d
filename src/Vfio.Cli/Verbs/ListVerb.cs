using System.CommandLine;
using Vfio.Cli.List;
using Vfio.Cli.Output;
using Vfio.Kernel;
using Vfio.Pci;

namespace Vfio.Cli.Verbs;

/// <summary>Lists the PCI functions of this machine, and whether they can be lent.</summary>
internal sealed class ListVerb() : Verb("ls", "List the PCI functions of this machine, and whether they can be lent.")
{
    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio ls", "a table: VIABLE says whether the IOMMU group can be handed out now, BEHAVES whether the function can be trusted"),
        new("vfio ls 0000:01:00.0", "all of one function: group, reset, virtual functions, and why it can or cannot be lent"),
        new("vfio ls --long", "all of every function"),
        new("vfio ls --json", "the same as data"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<PciAddress?> function = Words.OptionalFunction();
        Option<bool> isLong = new("--long", "-l") { Description = "A block of lines for each function, with reasons." };
        Option<bool> json = Words.Json();
        command.Add(function);
        command.Add(isLong);
        command.Add(json);
        command.SetAction(parsed =>
        {
            TextWriter output = parsed.InvocationConfiguration.Output;
            KernelPaths paths = new();
            PciAddress? wanted = parsed.GetValue(function);
            IReadOnlyList<ListedFunction> functions = wanted is { } address
                ? [ListedFunction.Of(new PciTopology(paths.Sysfs).Find(address), paths)]
                : ListedFunction.All(paths);
            if (parsed.GetValue(json))
                Json.Print(output, writer => FunctionJson.Write(writer, functions));
            else if (functions.Count == 0)
                output.WriteLine("this machine has no PCI functions; 'vfio show model:edu' shows one made of software");
            else if (wanted is not null || parsed.GetValue(isLong))
                FunctionBlocks.Print(output, functions);
            else
                FunctionTable.Print(output, functions);
        });
    }
}
