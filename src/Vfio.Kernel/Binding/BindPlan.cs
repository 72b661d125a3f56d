using Vfio.Pci;

namespace Vfio.Kernel.Binding;

/// <summary>What assigning a function means: all of its group, for the IOMMU cannot tell its members apart.</summary>
/// <param name="Group">Number of the group; null without an IOMMU.</param>
/// <param name="Members">All functions of the group.</param>
internal sealed record BindPlan(string? Group, IReadOnlyList<BindStep> Members)
{
    /// <summary>What about the function, its group or the machine keeps it from being assigned; null when nothing does.</summary>
    public BindObstacle? Obstacle { get; internal init; }

    /// <summary>What <see cref="DeviceBinder.Bind"/> would throw now: the obstacle, or that this process may not; null when it would go ahead.</summary>
    public VfioException? Refusal { get; internal init; }

    /// <summary>Whether nothing is left to do: all members are bound, and belong to the user.</summary>
    public bool IsDone { get; internal init; }

    /// <summary>Whether nothing keeps it from being done.</summary>
    public bool IsPossible => Refusal is null;
}

/// <summary>What keeps a function from being assigned.</summary>
/// <param name="Function">The member of the group whose fault it is.</param>
/// <param name="Errno">EBUSY: in use; ENODEV: no IOMMU, or nothing answers; EINVAL: a bridge; EPERM: only root may; ENOENT: no vfio-pci.</param>
/// <param name="Reason">Why, and what to do; a clause without a full stop.</param>
internal sealed record BindObstacle(PciAddress Function, Errno Errno, string Reason)
{
    internal VfioException ToException() => new("bind", Function.ToString(), Errno, Reason);
}

/// <summary>What happens to one function of a group.</summary>
/// <param name="Function">The function.</param>
/// <param name="Action">What is done.</param>
/// <param name="Uses">What this machine uses it for, in words; it is not taken away then.</param>
internal sealed record BindStep(KernelFunction Function, BindAction Action, IReadOnlyList<string> Uses)
{
    /// <summary>The driver that it has before.</summary>
    public string? Driver { get; } = Function.Driver;

    /// <summary>To whom it is assigned before; null when it is not.</summary>
    public FunctionAssignment? Assignment { get; internal init; }
}

/// <summary>What is done to a function when its group is assigned.</summary>
internal enum BindAction
{
    /// <summary>It is a bridge, which stays with its driver.</summary>
    Keep,

    /// <summary>A vfio driver has it already.</summary>
    None,

    /// <summary>It goes from its driver to vfio-pci.</summary>
    Bind,
}

/// <summary>To whom a function is assigned, told from its files.</summary>
/// <param name="To">Who may open it: a user's name or number, <c>group NAME</c>, <c>everyone</c>; several with commas where files differ.</param>
/// <param name="OpenBy">Who has it open. As an ordinary user, of one's own processes only.</param>
internal sealed record FunctionAssignment(string To, IReadOnlyList<OpenFileUser> OpenBy);

/// <summary>A function that was released.</summary>
/// <param name="Function">The function.</param>
/// <param name="Driver">The driver that has it now; null when none has.</param>
/// <param name="PreviousDriver">The driver that it had before it was bound to vfio-pci; null when it had none, or that is not known.</param>
/// <param name="IsGone">Whether it was unplugged meanwhile.</param>
internal sealed record ReleasedFunction(KernelFunction Function, string? Driver, string? PreviousDriver, bool IsGone = false);
