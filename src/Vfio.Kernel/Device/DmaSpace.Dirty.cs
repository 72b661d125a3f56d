using Vfio.Providers;

namespace Vfio.Kernel;

/// <content>The IOMMU's record of the pages that devices wrote.</content>
public abstract partial class DmaSpace
{
    private DirtyLog? _written;
    private int _trackers;
    private byte[] _bits = [];

    /// <summary>Whether the IOMMU can record the pages that its devices wrote; see <see cref="IDirtyTracker"/>.</summary>
    public abstract bool TracksDirtyPages { get; }

    /// <summary>The error hint when it cannot.</summary>
    internal abstract string NoDirtyPagesHint { get; }

    /// <summary>Whether there is a record now.</summary>
    private protected bool IsTracking => _written is not null;

    /// <summary>Starts the record, or adds a device to it.</summary>
    /// <returns>Page size of the record, in bytes.</returns>
    internal ulong StartDirtyTracking()
    {
        lock (_lock)
        {
            if (_written is null)
            {
                SetDirtyTracking(isOn: true);
                _written = new DirtyLog();
            }

            _trackers++;
            return DirtyPageBytes;
        }
    }

    /// <summary>Stops with the last device, and clears the record.</summary>
    internal void StopDirtyTracking()
    {
        lock (_lock)
        {
            if (_written is null || --_trackers > 0)
                return;
            _written = null;
            SetDirtyTracking(isOn: false);
        }
    }

    /// <summary>Reports the dirty pages of a range, mapped or not any more, and clears them.</summary>
    internal void ReportDirtyPages(Iova start, ulong length, ulong pageBytes, Span<byte> bitmap)
    {
        lock (_lock)
        {
            if (_written is not { } written)
                throw new VfioException("report of dirty pages", Name, Errno.InvalidArgument, "dirty tracking has not been started");
            ulong last = start.Value + (length - 1);
            foreach (DmaMapping mapping in _mappings.All)
            {
                ulong mappingLast = mapping.Start.Value + (mapping.Length - 1);
                if (mapping.Start.Value > last)
                    break;
                if (mappingLast >= start.Value && IsWritable(mapping))
                    CollectDirty(mapping, Math.Max(mapping.Start.Value, start.Value), Math.Min(mappingLast, last), written);
            }

            written.Report(start.Value, last, pageBytes, bitmap);
        }
    }

    /// <summary>Page size of the IOMMU's record, in bytes.</summary>
    private protected abstract ulong DirtyPageBytes { get; }

    private protected abstract void SetDirtyTracking(bool isOn);

    /// <summary>Adds the IOMMU's record of a part of a mapping, or of more of it.</summary>
    private protected abstract void CollectDirty(in DmaMapping mapping, ulong first, ulong last, DirtyLog written);

    /// <summary>Unpins a mapping that devices may write, and adds the IOMMU's record of it.</summary>
    private protected abstract void UnpinDirty(in DmaMapping mapping, DirtyLog written);

    /// <summary>A buffer for the bits of a range, all 0; valid until the next call.</summary>
    private protected Span<byte> BitsFor(ulong length)
    {
        int bytes = checked((int)DirtyBitmap.LengthOf(length, DirtyPageBytes));
        if (_bits.Length < bytes)
            _bits = new byte[bytes];
        Span<byte> bits = _bits.AsSpan(0, bytes);
        bits.Clear();
        return bits;
    }

    private static bool IsWritable(in DmaMapping mapping) => (mapping.Access & DmaAccess.Write) != 0;

    private void Release(in DmaMapping mapping)
    {
        if (_written is { } written && IsWritable(mapping))
            UnpinDirty(mapping, written);
        else
            Unpin(mapping.Start.Value, mapping.Length);
    }
}
