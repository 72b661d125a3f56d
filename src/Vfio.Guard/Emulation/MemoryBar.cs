using Vfio.Native;

namespace Vfio.Guard;

/// <summary>A BAR that is plain memory, which a driver may map: a frame buffer, a buffer on the card.</summary>
/// <remarks>A reset leaves its contents, as on a card. A device that clears it does so in <see
/// cref="EmulatedFunction.OnReset"/>.</remarks>
public sealed class MemoryBar : BarContent, IDisposable
{
    private SharedMemory _memory;

    /// <summary>Makes zeroed memory.</summary>
    /// <param name="name">A name for <c>/proc/PID/maps</c>.</param>
    /// <param name="length">Size in bytes: a power of two; below a page it can be read and written, but not mapped.</param>
    /// <exception cref="VfioException">No descriptors or no memory left.</exception>
    public MemoryBar(string name, ulong length)
    {
        CheckLength(length);
        _memory = SharedMemory.Create(name, length);
        Length = length;
    }

    /// <inheritdoc/>
    public override ulong Length { get; }

    /// <inheritdoc/>
    public override SharedMemory Memory => _memory;

    /// <inheritdoc/>
    public override void Read(ulong offset, Span<byte> destination) => _memory.TryRead(offset, destination);

    /// <inheritdoc/>
    public override void Write(ulong offset, ReadOnlySpan<byte> source) => _memory.TryWrite(offset, source);

    /// <inheritdoc/>
    public override bool TryTakeMemory(SharedMemory memory)
    {
        ArgumentNullException.ThrowIfNull(memory);
        if (!memory.IsMapped || !memory.IsWritable || memory.Length != Length)
            return false;
        _memory.Dispose();
        _memory = memory;
        return true;
    }

    /// <inheritdoc/>
    public void Dispose() => _memory.Dispose();
}
