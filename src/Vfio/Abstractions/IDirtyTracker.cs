namespace Vfio;

/// <summary>Dirty page tracking: a device that tells which memory it wrote. Asked for with <see cref="IVfioDevice.TryGet"/>.</summary>
/// <remarks>
/// <para>VFIO_DEVICE_FEATURE_DMA_LOGGING_* of <c>linux/vfio.h</c>. What was written stays on record until it is reported, also past an
/// unmap.</para>
/// <para>A bitmap has one bit for each page, the first page in bit 0 of byte 0, and ends with a whole 64-bit word; <see
/// cref="DirtyBitmap.LengthOf"/> says how long it is.</para>
/// </remarks>
public interface IDirtyTracker
{
    /// <summary>Whether it can; fixed while it is open. True of a feature that <see cref="IVfioDevice.TryGet"/> gave.</summary>
    bool TracksDirtyPages { get; }

    /// <summary>Starts to keep record.</summary>
    /// <param name="pageBytes">How fine it should be: a power of two.</param>
    /// <param name="ranges">What the user will ask about; empty for everything. A device may record more.</param>
    /// <returns>How fine it is, in bytes.</returns>
    /// <exception cref="VfioException">EINVAL: it has been started, or no such page size or ranges; ENOTTY, EOPNOTSUPP: it
    /// cannot.</exception>
    ulong StartDirtyTracking(ulong pageBytes, ReadOnlySpan<IovaRange> ranges);

    /// <summary>Stops, and forgets.</summary>
    /// <exception cref="VfioException">ENOTTY: it cannot.</exception>
    void StopDirtyTracking();

    /// <summary>Reports the pages of a range that were written since the last report, and forgets them.</summary>
    /// <param name="start">First address.</param>
    /// <param name="length">Size of the range in bytes; not 0.</param>
    /// <param name="pageBytes">Bytes that a bit stands for: a power of two, any.</param>
    /// <param name="bitmap">Bits are set where something was written; none is cleared.</param>
    /// <exception cref="VfioException">EINVAL: not started, or no such range or page size; ENOTTY: it cannot.</exception>
    void ReportDirtyPages(Iova start, ulong length, ulong pageBytes, Span<byte> bitmap);

    /// <summary>As <see cref="IVfioDevice.UnmapDma"/>, with a last report on the range: nothing is written after it.</summary>
    /// <returns>How many bytes were mapped.</returns>
    /// <exception cref="VfioException">As for both; nothing is unmapped then.</exception>
    ulong UnmapDma(Iova start, ulong length, ulong pageBytes, Span<byte> bitmap);
}
