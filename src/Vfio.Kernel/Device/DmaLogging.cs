using Vfio.Native;
using Vfio.Native.Kernel;
using Vfio.Providers;

namespace Vfio.Kernel.Device;

/// <summary>A device's own record of the pages that it wrote: VFIO_DEVICE_FEATURE_DMA_LOGGING_* of <c>linux/vfio.h</c>.</summary>
/// <remarks>Used by one thread at a time.</remarks>
internal sealed class DmaLogging
{
    /// <summary>The kernel's smallest page size of a report.</summary>
    private const ulong LeastPageBytes = 1 << DirtyLog.PageBits;

    /// <summary>Bytes of a range per request, where a report has to be split: 32 KiB of bits.</summary>
    private const ulong PieceBytes = 1 << 30;

    private readonly DeviceFile _file;
    private readonly Lazy<bool> _isOffered;
    private DirtyLog _rest = new();

    internal DmaLogging(DeviceFile file)
    {
        _file = file;
        _isOffered = new Lazy<bool>(() => file.HasFeature(DeviceFeatureCalls.SetDmaLoggingStart)
            && file.HasFeature(DeviceFeatureCalls.SetDmaLoggingStop) && file.HasFeature(DeviceFeatureCalls.GetDmaLoggingReport));
    }

    /// <summary>Whether the device keeps one.</summary>
    internal bool IsOffered => _isOffered.Value;

    /// <summary>Starts.</summary>
    /// <returns>Page size of the record, in bytes.</returns>
    internal ulong Start(ulong pageBytes, IEnumerable<IovaRange> ranges)
    {
        _rest = new DirtyLog();
        ulong page = Math.Max(pageBytes, LeastPageBytes);
        vfio_device_feature_dma_logging_range[] whole =
        [
            .. WholePages(ranges, page).Select(range => new vfio_device_feature_dma_logging_range
            {
                iova = range.Start.Value,
                length = range.Length,
            }),
        ];
        return _file.StartDmaLogging(page, whole);
    }

    /// <summary>Stops.</summary>
    internal void Stop()
    {
        _rest = new DirtyLog();
        _file.Feature(DeviceFeatureCalls.SetDmaLoggingStop, []);
    }

    /// <summary>Reports the dirty pages, and clears those that lie in the range as a whole.</summary>
    internal void Report(ulong start, ulong length, ulong pageBytes, Span<byte> bitmap)
    {
        ulong last = start + (length - 1);
        if (pageBytes >= LeastPageBytes && ((start | length) & (LeastPageBytes - 1)) == 0)
            Ask(start, last, pageBytes, bitmap);
        else
            Collect(start, last);
        _rest.Report(start, last, pageBytes, bitmap);
    }

    /// <summary>The ranges as whole pages without overlap, in ascending order. They exclude the last page of the 2^64 addresses, because the
    /// kernel adds a length to an address.</summary>
    internal static List<IovaRange> WholePages(IEnumerable<IovaRange> ranges, ulong pageBytes)
    {
        List<IovaRange> whole = [];
        ulong top = ulong.MaxValue - pageBytes;
        foreach (IovaRange range in ranges.OrderBy(range => range.Start.Value))
        {
            ulong first = range.Start.Value & ~(pageBytes - 1);
            ulong last = Math.Min(range.Last.Value | (pageBytes - 1), top);
            if (first > last)
                continue;
            if (whole.Count > 0 && first <= whole[^1].Last.Value + 1)
            {
                first = whole[^1].Start.Value;
                last = Math.Max(last, whole[^1].Last.Value);
                whole.RemoveAt(whole.Count - 1);
            }

            whole.Add(IovaRange.Between(first, last));
        }

        return whole;
    }

    /// <summary>Reads the device's record of the pages that a range touches, for a report in another form.</summary>
    private void Collect(ulong start, ulong last)
    {
        byte[] bits = new byte[DirtyBitmap.LengthOf(PieceBytes, LeastPageBytes)];
        for (ulong first = start & ~(LeastPageBytes - 1); first <= last;)
        {
            ulong end = last | (LeastPageBytes - 1);
            if (end - first >= PieceBytes)
                end = first + (PieceBytes - 1);
            Array.Clear(bits);
            Ask(first, end, LeastPageBytes, bits);
            _rest.Mark(first, LeastPageBytes, bits);
            if (end == ulong.MaxValue)
                break;
            first = end + 1;
        }
    }

    private void Ask(ulong first, ulong last, ulong pageBytes, Span<byte> bitmap)
    {
        // The last page of all addresses is in no record, and cannot be requested from the kernel.
        ulong end = Math.Min(last, ulong.MaxValue - LeastPageBytes);
        if (first <= end)
            _file.ReportDmaLogging(first, end - first + 1, pageBytes, bitmap);
    }
}
