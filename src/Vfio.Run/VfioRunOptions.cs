namespace Vfio.Run;

/// <summary>How a program is run.</summary>
public sealed record VfioRunOptions
{
    /// <summary>Whether it can map BARs: it is then traced (ptrace), and cannot be debugged, nor trace a process of its own. Without it, a
    /// program reads and writes registers with pread and pwrite, or does not start.</summary>
    public bool AllowMapping { get; init; } = true;
}
