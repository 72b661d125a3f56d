using Vfio.Native;

namespace Vfio;

/// <summary>Memory that a device may use: shared with this process, or reached through its owner.</summary>
/// <remarks>Reference counted: call <see cref="AddReference"/> to keep it, and <see cref="Release"/> when done; the last release frees
/// it. It starts with one reference, its creator's. Any thread may use it.</remarks>
public abstract class DmaMemory
{
    private int _references = 1;

    /// <summary>The memory in this process; null when only its owner can reach it.</summary>
    public virtual SharedMemory? Shared => null;

    /// <summary>Whether its owner, who has to answer an access, has sent a request to this process meanwhile. A thread that waits for the
    /// access and would have to answer the request then delays both.</summary>
    public virtual bool IsOwnerAsking => false;

    /// <summary>Copies bytes out.</summary>
    /// <param name="offset">Offset of the first byte: <see cref="DmaMapping.MemoryOffset"/> and what is added to it.</param>
    /// <param name="destination">Receives the bytes.</param>
    /// <returns>The error, or <see cref="Errno.None"/>.</returns>
    public abstract Errno Read(ulong offset, Span<byte> destination);

    /// <summary>Copies bytes in.</summary>
    /// <param name="offset">Offset of the first byte.</param>
    /// <param name="source">The bytes.</param>
    /// <returns>The error, or <see cref="Errno.None"/>.</returns>
    public abstract Errno Write(ulong offset, ReadOnlySpan<byte> source);

    /// <summary>Whether only one reference is left: for its owner, that nobody else uses the memory.</summary>
    public bool HasOneReference => Volatile.Read(ref _references) == 1;

    /// <summary>Keeps the memory until one more <see cref="Release"/>.</summary>
    public void AddReference() => Interlocked.Increment(ref _references);

    /// <summary>Releases one reference.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref _references) == 0)
            Free();
    }

    /// <summary>Frees it; called once.</summary>
    protected abstract void Free();
}
