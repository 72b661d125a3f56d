using Vfio.Pci;
using Vfio.Pci.Validation;

namespace Vfio.Kernel.Topology;

/// <summary>Whether a function of this machine can be assigned, told from sysfs: nothing is written, and no device is opened.</summary>
internal static class AssignabilityCheck
{
    private const string Question = "IOMMU group viable";

    /// <summary>Checks all that matters.</summary>
    internal static WellBehavedReport Check(KernelFunction function) => WellBehavedReport.Of(new AssignmentFacts(
        function.ReadConfig(),
        [.. function.Regions.Take(6).Select(region => region.Length)],
        function.ResetMethods,
        CheckGroup(function)));

    /// <summary>Whether the kernel would hand the group out now.</summary>
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

    /// <summary>The functions of the group that keep it from being assigned: those with another driver. Bridges to a bus do not, and neither
    /// does pci-stub, which drives nothing.</summary>
    internal static IEnumerable<KernelFunction> HeldByOtherDrivers(KernelFunction function) => function.GroupFunctions
        .Where(member => member.VfioDriver is null && member.Driver is not (null or "pci-stub") && !member.IsBridge);
}
