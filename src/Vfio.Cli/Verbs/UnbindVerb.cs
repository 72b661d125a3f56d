using System.CommandLine;
using Vfio.Kernel;
using Vfio.Pci;

namespace Vfio.Cli.Verbs;

/// <summary>Undoes <c>vfio bind</c>.</summary>
internal sealed class UnbindVerb() : Verb("unbind", "Give a function and its IOMMU group back to the drivers that had them.")
{
    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio unbind 0000:01:00.0", "undo 'vfio bind'; says who has it open instead of waiting"),
        new("vfio unbind 0000:01:00.0 --wait 30", "ask who has it open to let go, and give them 30 seconds"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<PciAddress> function = Words.Function();
        Option<int?> wait = new("--wait") { Description = "Ask who has it open to let go, and wait at most so many seconds." };
        wait.Validators.Add(result =>
        {
            if (result.GetValue(wait) is < 1)
                result.AddError("--wait takes a number of seconds, from 1.");
        });
        command.Add(function);
        command.Add(wait);
        command.SetAction(parsed =>
        {
            TimeSpan? grace = parsed.GetValue(wait) is { } seconds ? TimeSpan.FromSeconds(seconds) : null;
            foreach (KernelFunction member in new Lender().Unbind(parsed.GetValue(function), grace))
                parsed.InvocationConfiguration.Output.WriteLine($"{member} has {(member.Driver is { } driver ? "the driver " + driver : "no driver")}");
        });
    }
}
