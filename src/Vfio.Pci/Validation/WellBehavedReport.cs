using Vfio.Pci.Capabilities.Standard;
using Vfio.Pci.Rules;
using Vfio.Pci.Validation;

namespace Vfio.Pci;

/// <summary>Whether a function is well-behaved: fit to be assigned to a program that its owner does not trust.</summary>
/// <param name="Findings">One answer for each question, with its reason.</param>
public sealed record WellBehavedReport(IReadOnlyList<Finding> Findings)
{
    private const uint PageBytes = 4096;

    /// <summary>Whether nothing speaks against it. What cannot be known here does not.</summary>
    public bool IsWellBehaved => Findings.All(verdict => verdict.Answer != Answer.No);

    /// <summary>Checks.</summary>
    internal static WellBehavedReport Of(AssignmentFacts facts)
    {
        ArgumentNullException.ThrowIfNull(facts);
        return new WellBehavedReport(
        [
            CheckBars(facts),
            CheckMsix(facts),
            CheckIntx(facts),
            CheckConfig(facts),
            facts.Group,
            facts.ResetMethods.Count > 0
                ? new Finding("can be reset", Answer.Yes, string.Join(", ", facts.ResetMethods))
                : new Finding("can be reset", Answer.No, "it has no reset method"),
        ]);
    }

    private static Finding CheckBars(AssignmentFacts facts)
    {
        const string Question = "memory BARs of a page or more";
        int[] bars = [.. Enumerable.Range(0, facts.BarBytes.Count)
            .Where(bar => facts.BarBytes[bar] != 0 && (facts.Space.Read32(0x10 + (4 * bar)) & 1) == 0)];
        string[] small = [.. bars.Where(bar => facts.BarBytes[bar] < PageBytes).Select(bar => $"BAR{bar} has {facts.BarBytes[bar]} bytes")];
        if (small.Length > 0)
            return new Finding(Question, Answer.No, string.Join(", ", small));
        string names = string.Join(", ", bars.Select(bar => $"BAR{bar}"));
        return new Finding(Question, Answer.Yes, bars.Length == 0 ? "it has no memory BARs" : names);
    }

    private static Finding CheckMsix(AssignmentFacts facts)
    {
        const string Question = "MSI-X apart from what is mapped";
        if (MsixLocation.Find(facts.Space, facts.Capabilities) is not { } place)
        {
            return IsWholeConventional(facts)
                ? new Finding(Question, Answer.Yes, "it has no MSI-X")
                : UnknownConfig(Question, facts);
        }

        if (!place.Fits(facts.BarBytes))
            return new Finding(Question, Answer.No, "its table or pending bits leave their BAR");
        bool isOneBar = place.TableBar == place.PendingBar;
        List<string> shared = [];
        if (!StartsPage(place.TableOffset, isOneBar ? place.PendingOffset : null))
            shared.Add($"its table starts inside a page, at 0x{place.TableOffset:x} of BAR{place.TableBar}");
        if (!StartsPage(place.PendingOffset, isOneBar ? place.TableOffset : null))
            shared.Add($"its pending bits start inside a page, at 0x{place.PendingOffset:x} of BAR{place.PendingBar}");
        return shared.Count == 0
            ? new Finding(Question, Answer.Yes, $"{place.Vectors} vectors, table in BAR{place.TableBar} at 0x{place.TableOffset:x}")
            : new Finding(Question, Answer.No, string.Join(", ", shared));
    }

    /// <summary>Whether nothing but MSI-X can come before it in its page.</summary>
    private static bool StartsPage(uint offset, uint? other)
    {
        uint page = offset & ~(PageBytes - 1);
        return offset == page || other == page;
    }

    private static Finding CheckIntx(AssignmentFacts facts)
    {
        const string Question = "INTx can be masked (PCI 2.3)";
        const ushort IntxDisable = 0x400;
        if (facts.Space.Read8(0x3d) is < 1 or > 4)
            return new Finding(Question, Answer.Yes, "it has no interrupt pin");
        return facts.CanMaskIntx switch
        {
            true => new Finding(Question, Answer.Yes, "INTx disable holds what is written"),
            false => new Finding(Question, Answer.No, "INTx disable does not hold what is written"),
            null when (facts.Space.Read16(0x04) & IntxDisable) != 0 => new Finding(Question, Answer.Yes, "INTx disable is set"),
            null when facts.Capabilities.Find(ExpressTable.Id, isExtended: false) is not null =>
                new Finding(Question, Answer.Yes, "PCI Express functions have INTx disable"),
            null => new Finding(Question, Answer.Unknown, "only a write would tell"),
        };
    }

    private static Finding CheckConfig(AssignmentFacts facts)
    {
        const string Question = "nothing strange in config space";
        if (KnownWindow.Find(facts.Space.VendorId, facts.Space.DeviceId) is { } window)
            return new Finding(Question, Answer.No, window.Problem);
        if (!IsWholeConventional(facts))
            return UnknownConfig(Question, facts);
        ConfigRules rules = facts.Rules ?? new ConfigRules(facts.Space, facts.Capabilities);
        List<string> strange = [.. facts.Capabilities.Problems, .. rules.Conflicts];
        strange.AddRange(facts.Capabilities.Items
            .Where(item => item.Table is null)
            .Select(item => $"{item.Heading} is no known capability"));
        strange.AddRange(UnlistedData(facts.Space, rules));
        return strange.Count == 0
            ? new Finding(Question, Answer.Yes, "every capability is known")
            : new Finding(Question, Answer.No, string.Join("; ", strange));
    }

    private static bool IsWholeConventional(AssignmentFacts facts) => facts.Space.Length >= ConfigSpace.ConventionalLength;

    private static Finding UnknownConfig(string question, AssignmentFacts facts) =>
        new(question, Answer.Unknown, $"only {facts.Space.Length} bytes of config space are known; ask as root");

    /// <summary>Bytes that are not 0 and belong to nothing: registers that no specification knows.</summary>
    private static IEnumerable<string> UnlistedData(ConfigSpace space, ConfigRules rules)
    {
        int start = -1;
        for (int offset = ConfigSpace.HeaderLength; offset <= ConfigSpace.ConventionalLength; offset++)
        {
            bool isStrange = offset < ConfigSpace.ConventionalLength
                && space.Read8(offset) != 0 && rules.At(offset, 0).Structure is null;
            if (isStrange && start < 0)
                start = offset;
            if (isStrange || start < 0)
                continue;
            yield return $"data outside any capability at 0x{start:x} to 0x{offset - 1:x}";
            start = -1;
        }
    }
}
