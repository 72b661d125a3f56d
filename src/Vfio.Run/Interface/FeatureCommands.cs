using Vfio.Native;
using Vfio.Native.Kernel;
using Vfio.Native.Memory;

namespace Vfio.Run.Interface;

/// <summary>VFIO_DEVICE_FEATURE of an open device: <c>drivers/vfio/vfio_main.c</c> and <c>pci/vfio_pci_core.c</c>.</summary>
/// <remarks>A feature that the device does not have is ENOTTY. None here has a VF token, DMA-BUFs, or a switch for bus mastering.</remarks>
internal sealed class FeatureCommands
{
    private const uint FeatureMask = 0xffff, Get = 1 << 16, Set = 1 << 17, Probe = 1 << 18;

    /// <summary>As many ranges as fit into a page.</summary>
    private const uint MaxLoggedRanges = 4096 / 16;

    private readonly DirtyPages _dirty;
    private readonly LowPower _power;
    private readonly MigrationCommands _migration;

    /// <summary>Asks what the device can do.</summary>
    internal FeatureCommands(IVfioDevice device, DirtyPages dirty, LowPower power) =>
        (_dirty, _power, _migration) = (dirty, power, new MigrationCommands(device));

    /// <summary>Answers.</summary>
    internal long Ioctl(ICaller caller, ulong argument)
    {
        if (!caller.TryRead(argument, out vfio_device_feature feature))
            return Answer.Of(Errno.BadAddress);
        int headBytes = Blittable.SizeOf<vfio_device_feature>();
        if (feature.argsz < headBytes || (feature.flags & ~(FeatureMask | Get | Set | Probe)) != 0)
            return Answer.Of(Errno.InvalidArgument);
        bool isProbe = (feature.flags & Probe) != 0;
        bool gets = (feature.flags & Get) != 0;
        bool sets = (feature.flags & Set) != 0;
        if (!isProbe && gets && sets)
            return Answer.Of(Errno.InvalidArgument);
        Row? row = Array.Find(Rows, candidate => candidate.Number == (feature.flags & FeatureMask));
        if (row is null || !row.IsThere(this))
            return Answer.Of(Errno.NoSuchOperation);
        if ((gets && !row.Gets) || (sets && !row.Sets))
            return Answer.Of(Errno.InvalidArgument);
        if (isProbe)
            return 0;
        if ((!gets && !sets) || feature.argsz - (uint)headBytes < row.DataBytes)
            return Answer.Of(Errno.InvalidArgument);
        return row.Execute(this, caller, argument + (uint)headBytes, sets);
    }

    /// <summary>Ends a migration: the device was reset.</summary>
    internal void AfterReset() => _migration.AfterReset();

    private static readonly Row[] Rows =
    [
        // feature, may be got, may be set, bytes of data, whether the device has it, what is done
        new(1, true, false, 8, self => self._migration.IsAble, (self, caller, data, _) => self._migration.GetFeatures(caller, data)),
        new(2, true, true, 8, self => self._migration.IsAble, (self, caller, data, sets) => self._migration.State(caller, data, sets)),
        new(3, false, true, 0, _ => true, (self, _, _, _) => Answer.Of(self._power.Enter(null))),
        new(4, false, true, 8, _ => true, (self, caller, data, _) => Answer.Of(self._power.EnterWithWakeup(caller, data))),
        new(5, false, true, 0, _ => true, (self, _, _, _) => self._power.Exit()),
        new(6, false, true, 24, self => self._dirty.IsAble, (self, caller, data, _) => self.StartLogging(caller, data)),
        new(7, false, true, 0, self => self._dirty.IsAble, (self, _, _, _) => self.StopLogging()),
        new(8, true, false, 32, self => self._dirty.IsAble, (self, caller, data, _) => Answer.Of(self.ReportLogging(caller, data))),
        new(9, true, false, 8, self => self._migration.IsAble, (self, caller, data, _) => self._migration.GetSize(caller, data)),
    ];

    private long StartLogging(ICaller caller, ulong data)
    {
        if (!caller.TryRead(data, out vfio_device_feature_dma_logging_control control))
            return Answer.Of(Errno.BadAddress);
        if (control.num_ranges == 0)
            return Answer.Of(Errno.InvalidArgument);
        if (control.num_ranges > MaxLoggedRanges)
            return Answer.Of(Errno.TooBig);
        List<IovaInterval> ranges = [];
        for (uint i = 0; i < control.num_ranges; i++)
        {
            if (!caller.TryRead(control.ranges + (i * 16), out vfio_device_feature_dma_logging_range range))
                return Answer.Of(Errno.BadAddress);
            Errno error = Check(range, control.page_size, ranges);
            if (error != Errno.None)
                return Answer.Of(error);
            ranges.Add(new IovaInterval(range.iova, range.iova + (range.length - 1)));
        }

        // A device may record more than it is asked for.
        Errno refusal = _dirty.Start(DirtyUser.Logging);
        if (refusal != Errno.None)
            return Answer.Of(refusal);
        control.page_size = AddressSpace.PageBytes;
        long result = caller.Answer(data, control);
        if (result != 0)
            _dirty.Stop(DirtyUser.Logging);
        return result;
    }

    private static Errno Check(in vfio_device_feature_dma_logging_range range, ulong pageBytes, List<IovaInterval> before)
    {
        if (!ulong.IsPow2(pageBytes) || ((range.iova | range.length) & (pageBytes - 1)) != 0)
            return Errno.InvalidArgument;
        if (range.length > ulong.MaxValue - range.iova)
            return Errno.Overflow;
        ulong last = range.iova + (range.length - 1);
        ulong first = range.iova;
        return range.length == 0 || before.Exists(other => first <= other.Last && last >= other.Start) ? Errno.InvalidArgument : Errno.None;
    }

    private long StopLogging()
    {
        if (!_dirty.IsOn(DirtyUser.Logging))
            return Answer.Of(Errno.InvalidArgument);
        _dirty.Stop(DirtyUser.Logging);
        return 0;
    }

    private Errno ReportLogging(ICaller caller, ulong data)
    {
        if (!caller.TryRead(data, out vfio_device_feature_dma_logging_report report))
            return Errno.BadAddress;
        if (report.page_size < AddressSpace.PageBytes || !ulong.IsPow2(report.page_size))
            return Errno.InvalidArgument;
        if (report.length > ulong.MaxValue - report.iova)
            return Errno.Overflow;
        if (report.length == 0 || !_dirty.IsOn(DirtyUser.Logging))
            return Errno.InvalidArgument;
        DirtyReport request = new(caller, report.iova, report.length, report.page_size, report.bitmap);
        IovaInterval reached = new(report.iova, Math.Min(request.Last, AddressSpace.TranslatedRanges[^1].Last.Value));
        return reached.Last < reached.Start
            ? Errno.None
            : request.Fill([reached], window => _dirty.Report(DirtyUser.Logging, window, clears: true));
    }

    private delegate long Execution(FeatureCommands self, ICaller caller, ulong data, bool sets);

    private sealed record Row(uint Number, bool Gets, bool Sets, uint DataBytes, Func<FeatureCommands, bool> IsThere, Execution Execute);
}
