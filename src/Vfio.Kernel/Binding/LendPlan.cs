namespace Vfio.Kernel;

/// <summary>What lending a function means: all of its group, for the IOMMU cannot tell its members apart.</summary>
/// <param name="Group">Number of the group; null without an IOMMU.</param>
/// <param name="Members">All functions of the group.</param>
public sealed record LendPlan(string? Group, IReadOnlyList<LendStep> Members)
{
    /// <summary>Whether nothing keeps it from being done.</summary>
    public bool IsPossible => Members.All(member => member.Uses.Count == 0);
}

/// <summary>What happens to one function of a group.</summary>
/// <param name="Function">The function.</param>
/// <param name="Action">What is done.</param>
/// <param name="Uses">What this machine uses it for, in words; it is not taken away then.</param>
public sealed record LendStep(KernelFunction Function, LendAction Action, IReadOnlyList<string> Uses);

/// <summary>What is done to a function when its group is lent.</summary>
public enum LendAction
{
    /// <summary>It is a bridge, which stays with its driver.</summary>
    Keep,

    /// <summary>A vfio driver has it already.</summary>
    None,

    /// <summary>It goes from its driver to vfio-pci.</summary>
    Bind,
}
