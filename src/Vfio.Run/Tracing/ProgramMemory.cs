using Vfio.Native.Tracing;
using Vfio.Run.Interface;

namespace Vfio.Run.Tracing;

/// <summary>Memory of a program that a device uses.</summary>
/// <param name="space">Its address space; one reference is this object's.</param>
/// <param name="address">First address.</param>
/// <param name="length">How many bytes.</param>
/// <param name="isWritable">Whether the device may write it.</param>
/// <param name="record">Where accesses are recorded.</param>
internal sealed class ProgramMemory(SharedAddressSpace space, ulong address, ulong length, bool isWritable, RunRecord record) : DmaMemory
{
    /// <inheritdoc/>
    public override Errno Read(ulong offset, Span<byte> destination)
    {
        Errno error = Contains(offset, (ulong)destination.Length) ? space.File.Read(address + offset, destination) : Errno.BadAddress;
        record.AddDma(isWrite: false, address + offset, destination.Length, error);
        return error;
    }

    /// <inheritdoc/>
    public override Errno Write(ulong offset, ReadOnlySpan<byte> source)
    {
        Errno error = isWritable && Contains(offset, (ulong)source.Length) ? space.File.Write(address + offset, source) : Errno.BadAddress;
        record.AddDma(isWrite: true, address + offset, source.Length, error);
        return error;
    }

    /// <inheritdoc/>
    protected override void Free() => space.Release();

    private bool Contains(ulong offset, ulong count) => offset <= length && count <= length - offset;
}
