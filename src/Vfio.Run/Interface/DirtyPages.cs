using Vfio.Native;
using Vfio.Providers;

namespace Vfio.Run.Interface;

/// <summary>Who has the pages recorded that a device writes.</summary>
internal enum DirtyUser
{
    /// <summary>VFIO_DEVICE_FEATURE_DMA_LOGGING_*.</summary>
    Logging,

    /// <summary>The page table of the device: IOMMU_HWPT_SET_DIRTY_TRACKING.</summary>
    PageTable,
}

/// <summary>The pages that an open device writes: one record of the device, for up to two that ask, each of which sees each page once.</summary>
internal sealed class DirtyPages
{
    private readonly Lock _lock = new();
    private readonly IDirtyTracker? _tracker;
    private readonly DirtyLog?[] _logs = new DirtyLog?[2];

    /// <summary>Asks whether the device can.</summary>
    internal DirtyPages(IVfioDevice device) => device.TryGet(out _tracker);

    /// <summary>Whether the device records what it writes.</summary>
    internal bool IsAble => _tracker is not null;

    /// <summary>Starts, or starts anew.</summary>
    /// <returns>EINVAL: the program's own record was started before.</returns>
    internal Errno Start(DirtyUser user)
    {
        lock (_lock)
        {
            if (_logs[(int)DirtyUser.Logging] is not null && user == DirtyUser.Logging)
                return Errno.InvalidArgument;
            if (Array.TrueForAll(_logs, static log => log is null))
                _tracker?.StartDirtyTracking(AddressSpace.PageBytes, []);
            _logs[(int)user] = new DirtyLog();
            return Errno.None;
        }
    }

    /// <summary>Stops, and drops the record; no effect when it is off.</summary>
    internal void Stop(DirtyUser user)
    {
        lock (_lock)
        {
            if (_logs[(int)user] is null)
                return;
            _logs[(int)user] = null;
            if (Array.TrueForAll(_logs, static log => log is null))
                _tracker?.StopDirtyTracking();
        }
    }

    /// <summary>Drops the records: the device is being closed, and its own with it.</summary>
    internal void Drop()
    {
        lock (_lock)
            Array.Clear(_logs);
    }

    /// <summary>Whether it is on.</summary>
    internal bool IsOn(DirtyUser user)
    {
        lock (_lock)
            return _logs[(int)user] is not null;
    }

    /// <summary>Sets the bits of the pages of a range that were written.</summary>
    /// <param name="user">Who asks.</param>
    /// <param name="range">The part of a report.</param>
    /// <param name="clears">Whether they are forgotten.</param>
    internal void Report(DirtyUser user, in DirtyWindow range, bool clears)
    {
        lock (_lock)
        {
            if (_logs[(int)user] is not DirtyLog asked || _tracker is null)
                return;
            ulong granule = Math.Max(AddressSpace.PageBytes, range.Granule);
            byte[] fresh = new byte[DirtyBitmap.LengthOf(range.Length, granule)];
            _tracker.ReportDirtyPages(new Iova(range.Start), range.Length, granule, fresh);
            foreach (DirtyLog? log in _logs)
                log?.Mark(range.Start, granule, fresh);
            byte[] bits = new byte[range.Bits.Length];
            asked.Report(range.Start, range.Start + (range.Length - 1), range.PageBytes, bits);
            if (!clears)
                asked.Mark(range.Start, range.PageBytes, bits);
            for (int i = 0; i < bits.Length; i++)
                range.Bits[i] |= bits[i];
        }
    }
}
