namespace Vfio.Run.Interface;

/// <summary>A range of I/O addresses, and the memory of a process behind it.</summary>
/// <param name="start">First address.</param>
/// <param name="length">How many bytes; not 0, and the range does not wrap.</param>
/// <param name="access">What devices may do.</param>
/// <param name="memory">The memory; one reference is this object's once it is in an <see cref="AddressSpace"/>.</param>
/// <param name="memoryOffset">Where in it the range begins.</param>
/// <param name="isMemoryWritable">Whether the memory may be written at all: it was mapped for that once.</param>
internal sealed class SpaceMapping(ulong start, ulong length, DmaAccess access, DmaMemory memory, ulong memoryOffset, bool isMemoryWritable)
{
    /// <summary>First address.</summary>
    internal ulong Start { get; } = start;

    /// <summary>How many bytes.</summary>
    internal ulong Length { get; } = length;

    /// <summary>Last address.</summary>
    internal ulong Last => Start + (Length - 1);

    /// <summary>What devices may do.</summary>
    internal DmaAccess Access { get; } = access;

    /// <summary>The memory.</summary>
    internal DmaMemory Memory { get; } = memory;

    /// <summary>Where in it the range begins.</summary>
    internal ulong MemoryOffset { get; } = memoryOffset;

    /// <summary>Where in a page of the process the range begins.</summary>
    internal ulong PageOffset { get; init; }

    /// <summary>Whether the memory may be written at all.</summary>
    internal bool IsMemoryWritable { get; } = isMemoryWritable;

    /// <summary>Whether it waits for other memory; devices use <see cref="Memory"/> until then.</summary>
    internal bool IsInvalid { get; set; }

    /// <summary>As a device is told.</summary>
    internal DmaMapping Mapping => new(new Iova(Start), Length, Access, Memory, MemoryOffset);
}
