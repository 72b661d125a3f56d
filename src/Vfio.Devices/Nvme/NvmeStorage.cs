namespace Vfio.Devices.Nvme;

/// <summary>What keeps the blocks of the model.</summary>
/// <remarks>Any thread may use it, with ranges inside <see cref="Length"/>. Nothing throws.</remarks>
internal abstract class NvmeStorage : IDisposable
{
    /// <summary>Size in bytes.</summary>
    internal abstract long Length { get; }

    /// <summary>Size of a block as a power of two, at least 9.</summary>
    internal virtual int BlockShift => 9;

    /// <summary>Whether a call may take long: it is then made where a reset need not wait for it.</summary>
    internal virtual bool MayWait => true;

    /// <summary>Whether it can only be read.</summary>
    internal virtual bool IsReadOnly => false;

    /// <summary>Takes it for this process, where others could take it too.</summary>
    /// <returns>False when another has it.</returns>
    internal virtual bool TryLock() => true;

    /// <summary>Reads bytes, all of them.</summary>
    /// <returns>Why they cannot be read.</returns>
    internal abstract Errno Read(long offset, Span<byte> destination);

    /// <summary>Writes bytes, all of them.</summary>
    /// <returns>Why they cannot be written; some may be.</returns>
    internal abstract Errno Write(long offset, ReadOnlySpan<byte> source);

    /// <summary>Makes durable what was written, by calls that have returned.</summary>
    /// <returns>Why it is not.</returns>
    internal virtual Errno Flush() => Errno.None;

    /// <inheritdoc/>
    public virtual void Dispose()
    {
    }
}
