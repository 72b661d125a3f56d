using Vfio.Pci;

namespace Vfio.Kernel.Binding;

/// <summary>The steps to assign a function: with all of its group, because the IOMMU cannot distinguish its members.</summary>
/// <param name="Group">Number of the group; null without an IOMMU.</param>
/// <param name="Members">All functions of the group.</param>
internal sealed record BindPlan(string? Group, IReadOnlyList<BindStep> Members)
{
    /// <summary>The obstacle in the function, its group or the machine, for any user; null when there is none.</summary>
    public BindObstacle? Obstacle { get; internal init; }

    /// <summary>The exception that <see cref="DeviceBinder.Bind"/> would throw now; null when it would succeed.</summary>
    public VfioException? Refusal { get; internal init; }

    /// <summary>Whether nothing is left to do: all members are bound, and belong to the user.</summary>
    public bool IsDone { get; internal init; }

    /// <summary>Whether there is no refusal.</summary>
    public bool IsPossible => Refusal is null;
}

/// <summary>An obstacle to assigning a function.</summary>
/// <param name="Function">The member of the group that is the obstacle.</param>
/// <param name="Errno">EBUSY: in use; ENODEV: no IOMMU, or config space does not answer; EINVAL: a bridge; EPERM: only root may; ENOENT: no vfio-pci.</param>
/// <param name="Reason">Why, and what to do; a clause without a full stop.</param>
internal sealed record BindObstacle(PciAddress Function, Errno Errno, string Reason)
{
    internal VfioException ToException() => new("bind", Function.ToString(), Errno, Reason);
}

/// <summary>The step for one function of a group.</summary>
/// <param name="Function">The function.</param>
/// <param name="Action">What is done.</param>
/// <param name="Uses">What this machine uses it for, one clause each; a function in use cannot be bound.</param>
internal sealed record BindStep(KernelFunction Function, BindAction Action, IReadOnlyList<string> Uses)
{
    /// <summary>The driver that it has before.</summary>
    public string? Driver { get; } = Function.Driver;

    /// <summary>Its assignment before; null when it is not assigned.</summary>
    public FunctionAssignment? Assignment { get; internal init; }
}

/// <summary>What is done to a function when its group is assigned.</summary>
internal enum BindAction
{
    /// <summary>It is a bridge, which keeps its driver.</summary>
    Keep,

    /// <summary>A VFIO driver is bound to it already.</summary>
    None,

    /// <summary>It is unbound from its driver and bound to vfio-pci.</summary>
    Bind,
}

/// <summary>The assignment of a function, read from its device nodes.</summary>
/// <param name="To">Who may open it: a user's name or number, <c>group NAME</c>, <c>everyone</c>; several with commas if the files differ.</param>
/// <param name="OpenBy">The processes that have it open. An ordinary user sees their own only.</param>
internal sealed record FunctionAssignment(string To, IReadOnlyList<OpenFileUser> OpenBy);

/// <summary>A function that was released.</summary>
/// <param name="Function">The function.</param>
/// <param name="Driver">The driver that has it now; null when none has.</param>
/// <param name="PreviousDriver">The driver that it had before it was bound to vfio-pci; null when it had none, or that is not known.</param>
/// <param name="IsGone">Whether it was removed meanwhile.</param>
internal sealed record ReleasedFunction(KernelFunction Function, string? Driver, string? PreviousDriver, bool IsGone = false);
