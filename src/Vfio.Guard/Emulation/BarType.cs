namespace Vfio.Guard;

/// <summary>The address space that a BAR requests; PCI Local Bus 3.0, section 6.2.5.1.</summary>
public enum BarType
{
    /// <summary>Memory below 4 GiB.</summary>
    Memory32,

    /// <summary>Memory anywhere; takes the next BAR as its upper half.</summary>
    Memory64,

    /// <summary>As <see cref="Memory64"/>, and reads have no side effects.</summary>
    PrefetchableMemory64,

    /// <summary>I/O ports.</summary>
    Io,
}
