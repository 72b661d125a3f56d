namespace Vfio.Kernel.Device;

/// <summary>The pages that a device wrote: from the device's own record if it has one, otherwise from its IOMMU.</summary>
/// <remarks>Any thread may call.</remarks>
internal sealed class DirtyTracking(DmaLogging logging, DmaSpace space, string name) : IDisposable
{
    private const string ReportOperation = "report of dirty pages";
    private readonly Lock _lock = new();
    private bool _isOn;

    /// <summary>Whether one of them has a record.</summary>
    internal bool IsOffered => logging.IsOffered || space.TracksDirtyPages;

    /// <summary>Starts.</summary>
    /// <returns>Page size of the record, in bytes.</returns>
    internal ulong Start(ulong pageBytes, ReadOnlySpan<IovaRange> ranges)
    {
        const string Operation = "start of dirty tracking";
        if (!ulong.IsPow2(pageBytes))
            throw new VfioException(Operation, name, Errno.InvalidArgument, $"{pageBytes} is no power of two");
        lock (_lock)
        {
            if (_isOn)
                throw new VfioException(Operation, name, Errno.InvalidArgument, "it has been started");
            if (!IsOffered)
                throw new VfioException(Operation, name, Errno.NotSupported, space.NoDirtyPagesHint);
            ulong granule = logging.IsOffered
                ? logging.Start(pageBytes, ranges.IsEmpty ? space.Ranges : ranges.ToArray())
                : space.StartDirtyTracking();
            _isOn = true;
            return granule;
        }
    }

    /// <summary>Stops; no effect when it is off.</summary>
    internal void Stop()
    {
        lock (_lock)
        {
            if (!_isOn)
                return;
            _isOn = false;
            if (logging.IsOffered)
                logging.Stop();
            else
                space.StopDirtyTracking();
        }
    }

    /// <summary>Reports the dirty pages of a range, and clears them.</summary>
    internal void Report(Iova start, ulong length, ulong pageBytes, Span<byte> bitmap)
    {
        lock (_lock)
        {
            Check(ReportOperation, start, length, pageBytes, bitmap.Length);
            Ask(start, length, pageBytes, bitmap);
        }
    }

    /// <summary>Unmaps a range, and reports on it.</summary>
    /// <returns>Bytes that were mapped.</returns>
    internal ulong Unmap(Iova start, ulong length, ulong pageBytes, Span<byte> bitmap)
    {
        lock (_lock)
        {
            Check("unmap with a report", start, length, pageBytes, bitmap.Length);
            ulong bytes = space.Unmap(start, length);
            Ask(start, length, pageBytes, bitmap);
            return bytes;
        }
    }

    /// <summary>Leaves an address space that other devices still use.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            // A record of the device's own ends with the device.
            if (_isOn && !logging.IsOffered)
                space.StopDirtyTracking();
            _isOn = false;
        }
    }

    private void Ask(Iova start, ulong length, ulong pageBytes, Span<byte> bitmap)
    {
        if (logging.IsOffered)
            logging.Report(start.Value, length, pageBytes, bitmap);
        else
            space.ReportDirtyPages(start, length, pageBytes, bitmap);
    }

    private void Check(string operation, Iova start, ulong length, ulong pageBytes, int bitmapBytes)
    {
        if (!_isOn)
            throw new VfioException(operation, name, Errno.InvalidArgument, "dirty tracking has not been started");
        if (!DirtyBitmap.HasRoom(start, length, pageBytes, bitmapBytes))
        {
            string what = $"{length} bytes at {start}, pages of {pageBytes} bytes, {bitmapBytes} bytes for the bits";
            throw new VfioException(operation, name, Errno.InvalidArgument, what);
        }
    }
}
