namespace Vfio.Run;

/// <summary>How a program is run.</summary>
public sealed record VfioRunOptions
{
    /// <summary>Whether it can map BARs: it is then traced (ptrace), and cannot be debugged, nor trace a process of its own. Without it, a
    /// program reads and writes registers with pread and pwrite, or does not start.</summary>
    public bool AllowMapping { get; init; } = true;

    /// <summary>Whether the program finds the machine's own functions in sysfs too, beside its devices. They are real: it can do with them what its
    /// user can.</summary>
    public bool ShowMachine { get; init; }

    /// <summary>Gets a line for each open, ioctl, register access, interrupt and DMA access; null for none. It is written to by one thread at a
    /// time, and stays its owner's.</summary>
    public TextWriter? Log { get; init; }
}
