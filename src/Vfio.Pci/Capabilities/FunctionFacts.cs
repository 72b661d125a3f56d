using Vfio.Pci.Names;

namespace Vfio.Pci.Capabilities;

/// <summary>Facts of a function beyond its config space, from the kernel or its owner. Each may be left out.</summary>
internal sealed record FunctionFacts
{
    /// <summary>Nothing known.</summary>
    public static FunctionFacts None { get; } = new();

    /// <summary>Where the function is.</summary>
    public PciAddress? Address { get; init; }

    /// <summary>Whether to show its domain even when that is 0: where other functions beside it have one.</summary>
    public bool ShowDomain { get; init; }

    /// <summary>Names for ids.</summary>
    public PciIds Names { get; init; } = PciIds.Empty;

    /// <summary>Vendor id, where config space has none of its own: a virtual function.</summary>
    public ushort? VendorId { get; init; }

    /// <summary>Device id, likewise.</summary>
    public ushort? DeviceId { get; init; }

    /// <summary>BARs 0 to 5 and the expansion ROM as the kernel has them, null for one that is absent; an empty list when the BARs'
    /// registers are all that is known.</summary>
    public IReadOnlyList<RegionFact?> Regions { get; init; } = [];

    /// <summary>The interrupt that the kernel routed it to, 0 for none; null to show the Interrupt Line register.</summary>
    public uint? Interrupt { get; init; }

    /// <summary>Label on the case or board.</summary>
    public string? Label { get; init; }

    /// <summary>Physical slot.</summary>
    public string? Slot { get; init; }

    /// <summary>NUMA node.</summary>
    public int? NumaNode { get; init; }

    /// <summary>IOMMU group.</summary>
    public string? IommuGroup { get; init; }

    /// <summary>Kernel driver that is bound to it.</summary>
    public string? Driver { get; init; }

    /// <summary>Kernel modules that could drive it.</summary>
    public IReadOnlyList<string> Modules { get; init; } = [];
}
