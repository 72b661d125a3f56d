using Vfio.Native;
using Vfio.Native.Tracing;

namespace Vfio.Run.Tracing;

/// <summary>Memory of a program that a device uses.</summary>
/// <param name="space">Its address space; one reference is this object's.</param>
/// <param name="address">First address.</param>
/// <param name="length">How many bytes.</param>
/// <param name="isWritable">Whether the device may write it.</param>
internal sealed class ProgramMemory(SharedAddressSpace space, ulong address, ulong length, bool isWritable) : DmaMemory
{
    /// <inheritdoc/>
    public override Errno Read(ulong offset, Span<byte> destination) =>
        Contains(offset, (ulong)destination.Length) ? space.File.Read(address + offset, destination) : Errno.BadAddress;

    /// <inheritdoc/>
    public override Errno Write(ulong offset, ReadOnlySpan<byte> source) =>
        isWritable && Contains(offset, (ulong)source.Length) ? space.File.Write(address + offset, source) : Errno.BadAddress;

    /// <inheritdoc/>
    protected override void Free() => space.Release();

    private bool Contains(ulong offset, ulong count) => offset <= length && count <= length - offset;
}
