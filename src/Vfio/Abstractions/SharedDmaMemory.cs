using Vfio.Native;

namespace Vfio;

/// <summary>DMA memory that this process shares.</summary>
/// <param name="memory">The memory; owned by this object.</param>
public sealed class SharedDmaMemory(SharedMemory memory) : DmaMemory
{
    /// <inheritdoc/>
    public override SharedMemory Shared => memory;

    /// <inheritdoc/>
    public override Errno Read(ulong offset, Span<byte> destination) =>
        memory.TryRead(offset, destination) ? Errno.None : Errno.BadAddress;

    /// <inheritdoc/>
    public override Errno Write(ulong offset, ReadOnlySpan<byte> source) =>
        memory.TryWrite(offset, source) ? Errno.None : Errno.BadAddress;

    /// <inheritdoc/>
    protected override void Free() => memory.Dispose();
}
