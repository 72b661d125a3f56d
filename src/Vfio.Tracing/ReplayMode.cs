namespace Vfio.Tracing;

/// <summary>How closely a driver has to follow a recording; see <see cref="ReplayedDevice"/>.</summary>
public enum ReplayMode
{
    /// <summary>The same accesses with the same values, in the same order.</summary>
    Strict,

    /// <summary>Each register for itself: its reads give what they gave, in their order, and then the last of it again; its writes are
    /// the same, in their order. How accesses to different registers mix is free, and so are
    /// mappings and the set-up of interrupts.</summary>
    Register,

    /// <summary>As <see cref="Strict"/>, but a register that is read again and again may be read more or less often.</summary>
    Loose,
}
