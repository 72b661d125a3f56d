using Vfio.Kernel;
using Vfio.Kernel.Binding;
using Vfio.Pci;

namespace Vfio.Cli.List;

/// <summary>A function as a block of lines: all its facts, and why it can or cannot be assigned.</summary>
internal static class FunctionBlocks
{
    private const int LabelWidth = 14;

    internal static void Print(TextWriter output, IReadOnlyList<ListedFunction> functions)
    {
        for (int i = 0; i < functions.Count; i++)
        {
            if (i > 0)
                output.WriteLine();
            foreach (string line in Lines(functions[i]))
                output.WriteLine(line);
        }
    }

    private static IEnumerable<string> Lines(ListedFunction listed) =>
    [
        $"{listed.Function.Address} {listed.Ids} {listed.Name}",
        Line("class", $"{listed.Class} [{listed.Function.ClassCode:x6}]"),
        Line("driver", listed.Driver ?? "none"),
        Line("IOMMU", listed.Function.Iommu ?? "none"),
        Line("group", Group(listed)),
        Line("reset", listed.Function.ResetMethods.Count > 0 ? string.Join(", ", listed.Function.ResetMethods) : "none"),
        .. VirtualFunctions(listed),
        Line("NUMA node", listed.Function.NumaNode is { } node ? $"{node}" : "unknown"),
        .. listed.Uses.Count > 0 ? [Line("used", string.Join(", ", listed.Uses))] : Array.Empty<string>(),
        .. States(listed),
        Line("well-behaved", listed.Report.IsWellBehaved ? "yes" : "no"),
        .. listed.Report.Findings.Select(verdict => $"    {verdict.Question}: {Word(verdict.Answer)}, {verdict.Reason}"),
    ];

    private static string Line(string label, string text) => $"  {label.PadRight(LabelWidth)}{text}";

    private static string Group(ListedFunction listed)
    {
        if (listed.Function.IommuGroup is not { } group)
            return "none";
        return listed.Others.Count == 0
            ? $"{group}, alone"
            : $"{group}, with {string.Join(", ", listed.Others.Select(other => $"{other.Address} ({other.Driver ?? "no driver"})"))}";
    }

    private static IEnumerable<string> VirtualFunctions(ListedFunction listed)
    {
        if (listed.Function.PhysicalFunction is { } physical)
            yield return Line("SR-IOV", $"a virtual function of {physical}");
        if (listed.Function.TotalVirtualFunctions > 0)
            yield return Line("SR-IOV", $"{listed.Function.VirtualFunctions.Count} of {listed.Function.TotalVirtualFunctions} virtual functions");
    }

    private static IEnumerable<string> States(ListedFunction listed)
    {
        if (listed.Assignment is { } assignment)
        {
            yield return Line("state", $"assigned to {assignment.To}{(listed.Why is { } wrong ? $", but not usable: {wrong}" : "")}");
            foreach (OpenFileUser user in assignment.OpenBy)
                yield return Line("open in", user.ToString());
        }
        else
        {
            yield return Line("state", listed.Why is { } why ? $"{listed.State}: {why}" : listed.State);
        }
    }

    private static string Word(Answer answer) => answer.ToString().ToLowerInvariant();
}
