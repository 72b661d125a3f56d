using Vfio.Pci;
using Vfio.Pci.Validation;

namespace Vfio.Kernel.Topology;

/// <summary>Checks from sysfs whether a function of this machine can be assigned. Writes nothing, and opens no device.</summary>
internal static class AssignabilityCheck
{
    private const string Question = "IOMMU group viable";

    /// <summary>All findings.</summary>
    internal static WellBehavedReport Check(KernelFunction function) => WellBehavedReport.Of(new AssignmentFacts(
        function.ReadConfig(),
        [.. function.Regions.Take(6).Select(region => region.Length)],
        function.ResetMethods,
        CheckGroup(function)));

    /// <summary>Whether the group is viable now, and not without an IOMMU.</summary>
    internal static Finding CheckGroup(KernelFunction function)
    {
        if (function.IommuGroup is not { } group)
            return new Finding(Question, Answer.No, "no IOMMU translates for it");
        if (function.IsUntranslated)
            return new Finding(Question, Answer.No, $"group {group} has no IOMMU, which protects nothing");
        string[] held = [.. HeldByOtherDrivers(function).Select(member => $"{member} has the driver {member.Driver}")];
        return held.Length > 0
            ? new Finding(Question, Answer.No, string.Join(", ", held))
            : new Finding(Question, Answer.Yes, $"no driver but vfio's has a function of group {group}");
    }

    /// <summary>The functions that make the group unviable: those with a driver other than VFIO's. Bridges to a bus do not count, nor does
    /// pci-stub, which drives nothing.</summary>
    internal static IEnumerable<KernelFunction> HeldByOtherDrivers(KernelFunction function) => function.GroupFunctions
        .Where(member => member.VfioDriver is null && member.Driver is not (null or "pci-stub") && !member.IsBridge);
}
