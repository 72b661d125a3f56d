using Vfio.Native;

namespace Vfio.Run.Interface;

/// <summary>The process that made a system call: its memory and its descriptors.</summary>
/// <remarks>Good for the duration of one call. Nothing here trusts the process: it may change its memory and end at any moment.</remarks>
internal interface ICaller
{
    /// <summary>The process; all its threads have this number.</summary>
    int ProcessId { get; }

    /// <summary>Copies bytes of its memory out.</summary>
    /// <returns>False when part of the range is not readable (EFAULT).</returns>
    bool TryRead(ulong address, Span<byte> destination);

    /// <summary>Copies bytes into its memory.</summary>
    /// <returns>False when part of the range is not writable (EFAULT).</returns>
    bool TryWrite(ulong address, ReadOnlySpan<byte> source);

    /// <summary>A copy of one of its descriptors, such as an eventfd.</summary>
    /// <returns>Null when it has no such descriptor (EBADF).</returns>
    FileDescriptor? CopyDescriptor(int descriptor);

    /// <summary>The file of this interface that one of its descriptors is.</summary>
    /// <returns>Null when the descriptor is another file, or none.</returns>
    ServedFile? FileOf(int descriptor);

    /// <summary>Makes a file the process's, as a new close-on-exec descriptor.</summary>
    /// <returns>The descriptor, or a negative errno. The file is the caller's to close when it is negative.</returns>
    int Install(ServedFile file);

    /// <summary>Its memory from an address on, as a device uses it: for as long as it is mapped, and after this call.</summary>
    /// <param name="address">The first address; offset 0 of the memory.</param>
    /// <param name="length">How many bytes; the range does not wrap.</param>
    /// <param name="isWritten">Whether the device may write it.</param>
    /// <returns>Memory with one reference. An access fails with EFAULT once the process has unmapped the range or has ended. Null when part
    /// of the range is not its memory, or must not be written (EFAULT).</returns>
    DmaMemory? GetMemory(ulong address, ulong length, bool isWritten);

    /// <summary>A BAR that it has mapped, as memory that another device uses: a container takes that for memory, an iommufd does not.</summary>
    /// <returns>Memory with one reference, whose accesses are the BAR's. Null when the range is not in a mapping of a BAR.</returns>
    DmaMemory? GetBar(ulong address, ulong length) => null;
}
