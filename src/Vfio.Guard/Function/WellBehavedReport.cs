using Vfio.Pci;

namespace Vfio.Guard;

/// <summary>Whether a function is well-behaved: fit to be lent to a program that its owner does not trust.</summary>
/// <param name="Verdicts">One verdict for each thing that matters, with its reason.</param>
public sealed record WellBehavedReport(IReadOnlyList<Verdict> Verdicts)
{
    /// <summary>Whether nothing speaks against it. What cannot be known here does not.</summary>
    public bool IsWellBehaved => Verdicts.All(verdict => verdict.Answer != Answer.No);

    internal static WellBehavedReport Of(GuardedFunction function) => new(
    [
        JudgeBars(function.Layout),
        JudgeMsix(function.Layout),
        JudgeIntx(function),
        JudgeConfig(function.Layout),
        new Verdict("IOMMU group viable", Answer.Unknown, "a function seen by itself does not show its group"),
        function.CanReset
            ? new Verdict("can be reset", Answer.Yes, string.Join(", ", function.Layout.Function.ResetMethods))
            : new Verdict("can be reset", Answer.No, "it has no reset method"),
    ]);

    private static Verdict JudgeBars(FunctionLayout layout)
    {
        const string Question = "memory BARs of a page or more";
        RegionIndex[] bars = [.. Enumerable.Range(0, 6).Select(RegionIndex.Bar)
            .Where(bar => layout.Function.GetLength(bar) != 0 && !layout.IsIo(bar))];
        string[] small = [.. bars.Where(bar => layout.Function.GetLength(bar) < MappableAreas.PageBytes)
            .Select(bar => $"{bar} has {layout.Function.GetLength(bar)} bytes")];
        if (small.Length > 0)
            return new Verdict(Question, Answer.No, string.Join(", ", small));
        return new Verdict(Question, Answer.Yes, bars.Length == 0 ? "it has no memory BARs" : $"{string.Join(", ", bars)}");
    }

    private static Verdict JudgeMsix(FunctionLayout layout)
    {
        const string Question = "MSI-X apart from what is mapped";
        if (layout.Msix == 0)
            return new Verdict(Question, Answer.Yes, "it has no MSI-X");
        if (layout.MsixTable is not { } table)
            return new Verdict(Question, Answer.No, "its table or pending bits leave their BAR");
        bool isOneBar = table.Bar == table.PendingBar;
        List<string> shared = [];
        if (!StartsPage(table.TableOffset, isOneBar ? table.PendingOffset : null))
            shared.Add($"its table starts inside a page, at 0x{table.TableOffset:x} of BAR{table.Bar}");
        if (!StartsPage(table.PendingOffset, isOneBar ? table.TableOffset : null))
            shared.Add($"its pending bits start inside a page, at 0x{table.PendingOffset:x} of BAR{table.PendingBar}");
        return shared.Count == 0
            ? new Verdict(Question, Answer.Yes, $"{table.Vectors} vectors, table in BAR{table.Bar} at 0x{table.TableOffset:x}")
            : new Verdict(Question, Answer.No, string.Join(", ", shared));
    }

    /// <summary>Whether nothing but MSI-X can come before it in its page.</summary>
    private static bool StartsPage(uint offset, uint? other)
    {
        uint page = offset & ~(uint)(MappableAreas.PageBytes - 1);
        return offset == page || other == page;
    }

    private static Verdict JudgeIntx(GuardedFunction function)
    {
        const string Question = "INTx can be masked (PCI 2.3)";
        if (!function.Layout.HasPin)
            return new Verdict(Question, Answer.Yes, "it has no interrupt pin");
        return function.HasIntxDisable
            ? new Verdict(Question, Answer.Yes, "INTx disable holds what is written")
            : new Verdict(Question, Answer.No, "INTx disable does not hold what is written");
    }

    private static Verdict JudgeConfig(FunctionLayout layout)
    {
        const string Question = "nothing strange in config space";
        List<string> strange = [.. layout.Capabilities.Problems, .. layout.Rules.Conflicts];
        strange.AddRange(layout.Capabilities.Items
            .Where(item => item.Table is null)
            .Select(item => $"{item.Heading} is no known capability"));
        strange.AddRange(UnlistedData(layout));
        return strange.Count == 0
            ? new Verdict(Question, Answer.Yes, $"{layout.Capabilities.Items.Count} capabilities, all known")
            : new Verdict(Question, Answer.No, string.Join("; ", strange));
    }

    /// <summary>Bytes that are not 0 and belong to nothing: registers that no specification knows.</summary>
    private static IEnumerable<string> UnlistedData(FunctionLayout layout)
    {
        int start = -1;
        for (int offset = ConfigSpace.HeaderLength; offset <= ConfigSpace.ConventionalLength; offset++)
        {
            bool isStrange = offset < ConfigSpace.ConventionalLength
                && layout.Space.Read8(offset) != 0 && layout.Rules.At(offset, 0).Structure is null;
            if (isStrange && start < 0)
                start = offset;
            if (isStrange || start < 0)
                continue;
            yield return $"data outside any capability at 0x{start:x} to 0x{offset - 1:x}";
            start = -1;
        }
    }
}
