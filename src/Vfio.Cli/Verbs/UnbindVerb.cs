using System.CommandLine;
using Vfio.Kernel;
using Vfio.Pci;

namespace Vfio.Cli.Verbs;

/// <summary>Undoes <c>vfio bind</c>.</summary>
internal sealed class UnbindVerb() : Verb("unbind", "Give a function and its IOMMU group back to the drivers that had them.")
{
    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples => [new("vfio unbind 0000:01:00.0", "undo 'vfio bind'; says who has it open instead of waiting")];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<PciAddress> function = Words.Function();
        command.Add(function);
        command.SetAction(parsed =>
        {
            foreach (KernelFunction member in new Lender().Unbind(parsed.GetValue(function)))
                parsed.InvocationConfiguration.Output.WriteLine($"{member} has {(member.Driver is { } driver ? "the driver " + driver : "no driver")}");
        });
    }
}
