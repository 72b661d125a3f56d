namespace Vfio;

/// <summary>Dirty page tracking: a device that records which memory it wrote. Requested with <see cref="IVfioDevice.TryGet"/>.</summary>
/// <remarks>
/// <para>VFIO_DEVICE_FEATURE_DMA_LOGGING_* of <c>linux/vfio.h</c>. A written page stays recorded until it is reported, also after an
/// unmap.</para>
/// <para>A bitmap has one bit for each page, the first page in bit 0 of byte 0, and ends with a whole 64-bit word; <see
/// cref="DirtyBitmap.LengthOf"/> returns its length.</para>
/// </remarks>
public interface IDirtyTracker
{
    /// <summary>Whether it can; fixed while it is open. True of a feature that <see cref="IVfioDevice.TryGet"/> returned.</summary>
    bool TracksDirtyPages { get; }

    /// <summary>Starts to record.</summary>
    /// <param name="pageBytes">The requested page size of the record in bytes: a power of two.</param>
    /// <param name="ranges">The ranges that the user will ask about; empty for everything. A device may record more.</param>
    /// <returns>The page size of the record, in bytes.</returns>
    /// <exception cref="VfioException">EINVAL: it was started before, or page size or ranges are not valid; ENOTTY, EOPNOTSUPP: it
    /// cannot.</exception>
    ulong StartDirtyTracking(ulong pageBytes, ReadOnlySpan<IovaRange> ranges);

    /// <summary>Stops, and drops the record.</summary>
    /// <exception cref="VfioException">ENOTTY: it cannot.</exception>
    void StopDirtyTracking();

    /// <summary>Reports the pages of a range that were written since the last report, and clears their record.</summary>
    /// <param name="start">First address.</param>
    /// <param name="length">Size of the range in bytes; not 0.</param>
    /// <param name="pageBytes">Bytes that a bit stands for: any power of two.</param>
    /// <param name="bitmap">Bits are set where something was written; none is cleared.</param>
    /// <exception cref="VfioException">EINVAL: not started, or range or page size is not valid; ENOTTY: it cannot.</exception>
    void ReportDirtyPages(Iova start, ulong length, ulong pageBytes, Span<byte> bitmap);

    /// <summary>As <see cref="IVfioDevice.UnmapDma"/>, and reports a last time what was written in the range.</summary>
    /// <returns>How many bytes were mapped.</returns>
    /// <exception cref="VfioException">As for both; nothing is unmapped then.</exception>
    ulong UnmapDma(Iova start, ulong length, ulong pageBytes, Span<byte> bitmap);
}
