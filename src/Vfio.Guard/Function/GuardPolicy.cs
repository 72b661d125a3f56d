using Vfio.Guard.Dma;

namespace Vfio.Guard;

/// <summary>What the owner of a function decides.</summary>
public sealed record GuardPolicy
{
    /// <summary>Assign a function that cannot be reset: its user may find what another left in it. Default: no.</summary>
    public bool AllowWithoutReset { get; init; }

    /// <summary>Turn bus mastering on when the function is assigned and after each reset of the lease, for users that drive a device
    /// without a system that would write its Command register. It still reaches only what its user maps, and a reset that the user
    /// makes through config space turns it off as PCI has it. Default: no.</summary>
    public bool StartAsBusMaster { get; init; }

    /// <summary>Most DMA mappings of one user.</summary>
    public int MaxDmaMappings { get; init; } = DmaTable.DefaultMaxMappings;
}
