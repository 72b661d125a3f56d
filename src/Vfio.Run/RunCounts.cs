namespace Vfio.Run;

/// <summary>What a program did with its devices.</summary>
public readonly record struct RunCounts
{
    /// <summary>System calls that were looked at: those with a path, and those on device files.</summary>
    public long Calls { get; init; }

    /// <summary>Of these, ioctls on device files.</summary>
    public long Ioctls { get; init; }

    /// <summary>Reads of registers, by pread or of a mapped BAR.</summary>
    public long RegisterReads { get; init; }

    /// <summary>Writes of registers, by pwrite or to a mapped BAR.</summary>
    public long RegisterWrites { get; init; }

    /// <summary>Of both, accesses to mapped BARs.</summary>
    public long MappedAccesses { get; init; }

    /// <summary>Accesses of devices to memory of the program.</summary>
    public long DmaAccesses { get; init; }

    /// <summary>Bytes that they moved.</summary>
    public long DmaBytes { get; init; }

    /// <summary>Of these accesses, those that failed: the memory was not mapped any more, or not so.</summary>
    public long DmaFaults { get; init; }
}
