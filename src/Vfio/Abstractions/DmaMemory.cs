using Vfio.Native;

namespace Vfio;

/// <summary>Memory that a device may be given: shared with this process, or reached by asking its owner.</summary>
/// <remarks>Counted: whoever keeps it calls <see cref="AddReference"/>, and <see cref="Release"/> when done; the last release frees it.
/// It starts with one reference, its maker's. Any thread may use it.</remarks>
public abstract class DmaMemory
{
    private int _references = 1;

    /// <summary>The memory in this process; null when only its owner can reach it.</summary>
    public virtual SharedMemory? Shared => null;

    /// <summary>Whether its owner, who has to answer for an access, asks this process for something else meanwhile: who waits for the
    /// access on the thread that would answer holds that up.</summary>
    public virtual bool IsOwnerAsking => false;

    /// <summary>Copies bytes out.</summary>
    /// <param name="offset">Where they start, in bytes; for <see cref="DmaMapping.MemoryOffset"/> and what is added to it.</param>
    /// <param name="destination">Where they go.</param>
    /// <returns>Why not, or <see cref="Errno.None"/>.</returns>
    public abstract Errno Read(ulong offset, Span<byte> destination);

    /// <summary>Copies bytes in.</summary>
    /// <param name="offset">Where they go, in bytes.</param>
    /// <param name="source">The bytes.</param>
    /// <returns>Why not, or <see cref="Errno.None"/>.</returns>
    public abstract Errno Write(ulong offset, ReadOnlySpan<byte> source);

    /// <summary>Whether only one reference is left: for its holder, that nobody else uses the memory.</summary>
    public bool HasOneReference => Volatile.Read(ref _references) == 1;

    /// <summary>Keeps the memory until a <see cref="Release"/> more.</summary>
    public void AddReference() => Interlocked.Increment(ref _references);

    /// <summary>Lets go of one reference.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref _references) == 0)
            Free();
    }

    /// <summary>Frees it; called once.</summary>
    protected abstract void Free();
}
