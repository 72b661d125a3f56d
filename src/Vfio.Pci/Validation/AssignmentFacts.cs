using Vfio.Pci.Rules;

namespace Vfio.Pci.Validation;

/// <summary>The input of a <see cref="WellBehavedReport"/>: config space, and facts beyond it.</summary>
/// <param name="Space">Config space; of one that is known in part only, the rest is not checked.</param>
/// <param name="BarBytes">Sizes of BAR0 to BAR5 in bytes; 0 for one that is absent or an upper half.</param>
/// <param name="ResetMethods">How it can be reset, in words; empty when it cannot.</param>
/// <param name="Group">Whether its IOMMU group is viable.</param>
internal sealed record AssignmentFacts(ConfigSpace Space, IReadOnlyList<ulong> BarBytes, IReadOnlyList<string> ResetMethods, Finding Group)
{
    /// <summary>Its capabilities.</summary>
    public CapabilityList Capabilities { get; init; } = CapabilityList.Read(Space);

    /// <summary>What every bit of it is to a user, permits included; null for what the tables say.</summary>
    public ConfigRules? Rules { get; init; }

    /// <summary>Whether INTx can be masked in the function (PCI 2.3, Command, bit 10); null when it was not tried.</summary>
    public bool? CanMaskIntx { get; init; }
}
