namespace Vfio.Testing.Faults;

/// <summary>What fails. Each kind counts the events that it can strike: accesses, mappings, interrupts, resets.</summary>
internal enum FaultKind
{
    /// <summary>The device is gone from an access on.</summary>
    Unplug,

    /// <summary>A register reads as something else.</summary>
    Read,

    /// <summary>Writes of registers are lost.</summary>
    LoseWrite,

    /// <summary>Interrupts do not come.</summary>
    LoseInterrupt,

    /// <summary>Interrupts come late.</summary>
    LateInterrupt,

    /// <summary>Memory cannot be mapped for DMA.</summary>
    RefuseDma,

    /// <summary>The device does not reset.</summary>
    FailReset,
}
