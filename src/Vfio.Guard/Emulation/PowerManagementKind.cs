namespace Vfio.Guard;

/// <summary>What power management a <see cref="EmulatedFunction"/> has.</summary>
public enum PowerManagementKind
{
    /// <summary>No capability.</summary>
    None,

    /// <summary>D0 and D3hot; coming back from D3hot resets it (No_Soft_Reset clear).</summary>
    SoftReset,

    /// <summary>D0 and D3hot; its state survives D3hot (No_Soft_Reset set).</summary>
    NoSoftReset,
}
