using Vfio.Guard.Dma;

namespace Vfio.Guard;

/// <summary>The decisions of a function's owner.</summary>
public sealed record GuardPolicy
{
    /// <summary>Assign a function that cannot be reset: its user may find what another left in it. Default: no.</summary>
    public bool AllowWithoutReset { get; init; }

    /// <summary>Enable bus mastering when the function is assigned and after each reset of the lease, for users that drive a device
    /// without a system that would write its Command register. The function still reaches only what its user maps. A reset that the user
    /// makes through config space disables it, as PCI specifies. Default: no.</summary>
    public bool StartAsBusMaster { get; init; }

    /// <summary>The most DMA mappings of one user. Default: 65,535.</summary>
    public int MaxDmaMappings { get; init; } = DmaTable.DefaultMaxMappings;
}
