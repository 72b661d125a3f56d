using Vfio.Pci;

namespace Vfio.Run;

/// <summary>A device that a program finds.</summary>
/// <param name="Open">Opens it; called again for each program that opens it, never while it is open. The device is disposed when the program
/// closes it.</param>
public sealed record RunDevice(Func<IVfioDevice> Open)
{
    /// <summary>Its address; null for the first free one from <c>0000:01:00.0</c> on, each on a bus of its own.</summary>
    public PciAddress? Address { get; init; }

    /// <summary>The number of its IOMMU group; null for a group of its own.</summary>
    public int? Group { get; init; }

    /// <summary>Open its virtual functions, each as <see cref="Open"/> does: those that its owner has enabled, in the order of their numbers.
    /// They have the addresses that its SR-IOV capability gives, and groups of their own.</summary>
    public IReadOnlyList<Func<IVfioDevice>> VirtualFunctions { get; init; } = [];
}
