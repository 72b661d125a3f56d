namespace Vfio.Pci.Capabilities;

/// <summary>What a bit of config space is to the user of an assigned function.</summary>
internal enum BitRule
{
    /// <summary>Reads the hardware's value; writes are dropped.</summary>
    Fixed,

    /// <summary>As <see cref="Fixed"/>, but every write that reaches the hardware has 0 here: 1 would clear a status, or start
    /// something.</summary>
    FixedStatus,

    /// <summary>Reads the hardware's value; writes reach the hardware.</summary>
    PassedThrough,

    /// <summary>Reads the hardware's value; writing 1 clears it in the hardware, writing 0 leaves it.</summary>
    WriteOneToClear,

    /// <summary>Reads a shadow that the user may write; the hardware sees nothing of it, or what the guard makes of it.</summary>
    Virtual,

    /// <summary>Reads a shadow that only the guard changes.</summary>
    VirtualFixed,

    /// <summary>Reads 0; writes are dropped.</summary>
    Hidden,
}
