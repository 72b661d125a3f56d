namespace Vfio.Devices.Nvme;

/// <summary>What keeps the blocks of the model.</summary>
/// <remarks>One thread at a time, with ranges inside <see cref="Length"/>.</remarks>
internal abstract class NvmeStorage : IDisposable
{
    /// <summary>Size in bytes.</summary>
    internal abstract long Length { get; }

    /// <exception cref="IOException">The bytes cannot be read.</exception>
    internal abstract void Read(long offset, Span<byte> destination);

    /// <exception cref="IOException">The bytes cannot be written.</exception>
    internal abstract void Write(long offset, ReadOnlySpan<byte> source);

    /// <summary>Makes what was written last.</summary>
    /// <exception cref="IOException">That failed.</exception>
    internal virtual void Flush()
    {
    }

    /// <inheritdoc/>
    public virtual void Dispose()
    {
    }
}
