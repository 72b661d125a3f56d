using Vfio.Native.Tracing;
using Vfio.Run.Interface;

namespace Vfio.Run.Tracing;

/// <summary>Memory of a program that a device uses.</summary>
/// <param name="space">Its address space; one reference is this object's.</param>
/// <param name="process">The process, in findings.</param>
/// <param name="address">First address.</param>
/// <param name="length">How many bytes.</param>
/// <param name="isWritable">Whether the device may write it.</param>
/// <param name="record">Where accesses are recorded.</param>
internal sealed class ProgramMemory(SharedAddressSpace space, int process, ulong address, ulong length, bool isWritable, RunRecord record) : DmaMemory
{
    /// <inheritdoc/>
    public override Errno Read(ulong offset, Span<byte> destination)
    {
        bool isInside = Contains(offset, (ulong)destination.Length);
        Errno error = isInside ? space.File.Read(address + offset, destination) : Errno.BadAddress;
        return Record(isWrite: false, isInside, offset, destination.Length, error);
    }

    /// <inheritdoc/>
    public override Errno Write(ulong offset, ReadOnlySpan<byte> source)
    {
        bool isInside = isWritable && Contains(offset, (ulong)source.Length);
        Errno error = isInside ? space.File.Write(address + offset, source) : Errno.BadAddress;
        return Record(isWrite: true, isInside, offset, source.Length, error);
    }

    /// <inheritdoc/>
    protected override void Free() => space.Release();

    private Errno Record(bool isWrite, bool isInside, ulong offset, int length, Errno error)
    {
        record.AddDma(isWrite, address + offset, length, error);
        if (error != Errno.None && isInside)
            record.Found.AddUnmapped(isWrite, process, address + offset, length);
        return error;
    }

    private bool Contains(ulong offset, ulong count) => offset <= length && count <= length - offset;
}
