namespace Vfio.Devices.Nvme;

/// <summary>The storage of the model's blocks.</summary>
/// <remarks>Any thread may use it, with ranges inside <see cref="Length"/>. Failures are returned, not thrown.</remarks>
internal abstract class NvmeStorage : IDisposable
{
    /// <summary>Size in bytes.</summary>
    internal abstract long Length { get; }

    /// <summary>Size of a block as a power of two, at least 9.</summary>
    internal virtual int BlockShift => 9;

    /// <summary>Whether a call may take long: it is then made where a reset does not wait for it.</summary>
    internal virtual bool MayWait => true;

    /// <summary>Whether it can only be read.</summary>
    internal virtual bool IsReadOnly => false;

    /// <summary>Locks it for this process, where other processes could use it too.</summary>
    /// <returns>False when another process has it.</returns>
    internal virtual bool TryLock() => true;

    /// <summary>Whether another process of this machine has the same blocks when it opens the same storage.</summary>
    internal virtual bool IsShared => false;

    /// <summary>Locks it against writers of other processes, and no more: while a drive that does not run moves to another process, both
    /// have this lock, and nobody else comes in between.</summary>
    /// <returns>False when another process has it alone.</returns>
    internal virtual bool TryLockShared() => true;

    /// <summary>Reads bytes, all of them.</summary>
    /// <returns>The error.</returns>
    internal abstract Errno Read(long offset, Span<byte> destination);

    /// <summary>Reads bytes, all of them, where that takes no time.</summary>
    /// <returns>EAGAIN where it would wait for the medium; else the error.</returns>
    internal virtual Errno TryRead(long offset, Span<byte> destination) => Read(offset, destination);

    /// <summary>Writes bytes, all of them.</summary>
    /// <returns>The error; some bytes may be written.</returns>
    internal abstract Errno Write(long offset, ReadOnlySpan<byte> source);

    /// <summary>Makes bytes zeros.</summary>
    /// <param name="offset">The first.</param>
    /// <param name="length">How many.</param>
    /// <param name="isDiscarded">Whether their place may be given back: a later write to them may find no space then.</param>
    /// <returns>The error; some bytes may be zeros. ENOTSUP where zeros have to be written.</returns>
    internal abstract Errno Zero(long offset, long length, bool isDiscarded);

    /// <summary>Makes durable what calls that have returned have written.</summary>
    /// <returns>The error.</returns>
    internal virtual Errno Flush() => Errno.None;

    /// <inheritdoc/>
    public virtual void Dispose()
    {
    }
}
