namespace Vfio.Guard;

/// <summary>What the lender of a function decides.</summary>
public sealed record GuardPolicy
{
    /// <summary>Lend a function that cannot be reset: its user may find what another left in it. Default: no.</summary>
    public bool LendWithoutReset { get; init; }

    /// <summary>Most DMA mappings of one user.</summary>
    public int MaxDmaMappings { get; init; } = DmaTable.DefaultMaxMappings;
}
