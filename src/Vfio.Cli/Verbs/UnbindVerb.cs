using System.CommandLine;
using Vfio.Cli.Numbers;
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
        new("vfio unbind 0000:01:00.0 --wait 30s", "ask who has it open to let go, and give them 30 seconds"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<PciAddress> function = Words.Function();
        OptionalNumberOption<Duration> wait = new(
            "--wait", NumberRules.Time(Duration.Seconds(1), Duration.Days(1), Duration.Seconds(30)),
            "Ask who has it open to let go, and wait at most so long.");
        command.Add(function);
        command.Add(wait);
        command.SetAction(parsed =>
        {
            TimeSpan? grace = parsed.GetValue(wait)?.Time;
            foreach (KernelFunction member in new Lender().Unbind(parsed.GetValue(function), grace))
                parsed.InvocationConfiguration.Output.WriteLine($"{member} has {(member.Driver is { } driver ? "the driver " + driver : "no driver")}");
        });
    }
}
