using System.CommandLine;
using Vfio.Cli.List;
using Vfio.Cli.Output;
using Vfio.Kernel;
using Vfio.Kernel.Binding;
using Vfio.Kernel.Topology;
using Vfio.Pci;

namespace Vfio.Cli.Verbs;

/// <summary>Lists the PCI functions of this machine, and whether they are assigned or assignable.</summary>
internal sealed class ListVerb() : Verb("ls", "List the PCI functions of this machine, and whether they are assigned or assignable.")
{
    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio ls", "a table: STATE says whether each function is assigned and to whom, assignable, or not assignable"),
        new("vfio ls 0000:01:00.0", "one function: group, reset, who has it open, why it is not assignable, whether it is well-behaved"),
        new("vfio ls --long", "the same for every function"),
        new("vfio ls --json", "the same as JSON"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<PciAddress?> function = SharedOptions.OptionalFunction();
        Option<bool> isLong = new("--long", "-l") { Description = "A block of lines for each function, with reasons." };
        Option<bool> json = SharedOptions.Json();
        command.Add(function);
        command.Add(isLong);
        command.Add(json);
        command.SetAction(parsed =>
        {
            TextWriter output = parsed.InvocationConfiguration.Output;
            KernelPaths paths = new();
            PciAddress? wanted = parsed.GetValue(function);
            IReadOnlyList<ListedFunction> functions = wanted is { } address
                ? [ListedFunction.Of(new PciTopology(paths.Sysfs).Find(address), new DeviceBinder(paths).Plan(address))]
                : ListedFunction.All(paths);
            if (parsed.GetValue(json))
                Json.Print(output, writer => FunctionJson.Write(writer, functions));
            else if (functions.Count == 0)
                output.WriteLine("this machine has no PCI functions; 'vfio show model:edu' shows an emulated one");
            else if (wanted is not null || parsed.GetValue(isLong))
                FunctionBlocks.Print(output, functions);
            else
                FunctionTable.Print(output, functions);
        });
    }
}
