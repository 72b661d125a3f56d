using System.Numerics;
using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.User.Wire;

namespace Vfio.User.Server;

/// <summary>As <see cref="RequestValidator"/>, for DEVICE_FEATURE and migration data, in the order in which the kernel checks.</summary>
internal static class FeatureValidator
{
    private const DeviceFeatureFlags Get = DeviceFeatureFlags.Get, Set = DeviceFeatureFlags.Set, Probe = DeviceFeatureFlags.Probe;

    /// <summary>DEVICE_FEATURE: a known feature, one operation that it has, and space for the reply of a set or a
    /// probe, which repeats the request.</summary>
    /// <param name="body">The message.</param>
    /// <param name="canMigrate">Whether the device has the features of migration.</param>
    /// <param name="canTrack">Whether it has those of DMA logging.</param>
    /// <param name="message">The fixed part.</param>
    internal static Errno DeviceFeature(ReadOnlySpan<byte> body, bool canMigrate, bool canTrack, out DeviceFeatureMessage message)
    {
        if (!Blittable.TryRead(body, out message) || message.ArgSize < Blittable.SizeOf<DeviceFeatureMessage>())
            return Errno.InvalidArgument;
        DeviceFeatureFlags asked = message.Flags & ~DeviceFeatureFlags.FeatureMask;
        bool isProbe = (asked & Probe) != 0;
        if ((asked & ~(Get | Set | Probe)) != 0 || asked == 0 || (!isProbe && asked == (Get | Set)))
            return Errno.InvalidArgument;
        (DeviceFeatureFlags has, bool isThere) = message.Feature switch
        {
            Wire.DeviceFeature.Migration => (Get, canMigrate),
            Wire.DeviceFeature.MigrationDeviceState => (Get | Set, canMigrate),
            Wire.DeviceFeature.DmaLoggingStart or Wire.DeviceFeature.DmaLoggingStop => (Set, canTrack),
            Wire.DeviceFeature.DmaLoggingReport => (Get, canTrack),
            _ => (DeviceFeatureFlags.None, false),
        };
        if (!isThere)
            return Errno.NoSuchOperation;
        if ((asked & ~has & ~Probe) != 0)
            return Errno.InvalidArgument;
        bool repeats = isProbe || asked == Set;
        return !repeats || message.ArgSize >= (uint)body.Length ? Errno.None : Errno.InvalidArgument;
    }

    /// <summary>The ranges of a start of DMA logging: as many as announced, of whole pages, none empty, none that wraps.</summary>
    internal static Errno DmaLoggingStart(ReadOnlySpan<byte> data, out DmaLoggingControl control)
    {
        int fixedBytes = Blittable.SizeOf<DmaLoggingControl>();
        int rangeBytes = Blittable.SizeOf<DmaLoggingRange>();
        if (!Blittable.TryRead(data, out control) || control.Reserved != 0 || !BitOperations.IsPow2(control.PageSize))
            return Errno.InvalidArgument;
        ReadOnlySpan<byte> ranges = data[fixedBytes..];
        if ((ulong)ranges.Length != (ulong)control.RangeCount * (ulong)rangeBytes)
            return Errno.InvalidArgument;
        for (; ranges.Length > 0; ranges = ranges[rangeBytes..])
        {
            DmaLoggingRange range = Blittable.Read<DmaLoggingRange>(ranges);
            bool isAligned = ((range.Address | range.Length) & (control.PageSize - 1)) == 0;
            if (!isAligned || range.Length == 0 || range.Length - 1 > ulong.MaxValue - range.Address)
                return Errno.InvalidArgument;
        }

        return Errno.None;
    }

    /// <summary>A report of DMA logging: a range that does not wrap, a page size that is a power of two, and space for the
    /// bitmap.</summary>
    /// <param name="data">What follows the fixed part of the message.</param>
    /// <param name="argSize">Largest body of the reply.</param>
    /// <param name="maxTransferBytes">Data bytes of one message.</param>
    /// <param name="report">The range.</param>
    /// <param name="bitmapBytes">Bytes of its bitmap.</param>
    internal static Errno DmaLoggingReport(
        ReadOnlySpan<byte> data, uint argSize, int maxTransferBytes, out DmaLoggingReport report, out int bitmapBytes)
    {
        bitmapBytes = 0;
        if (!Blittable.TryRead(data, out report)
            || !IsBitmap(report.Address, report.Length, report.PageSize, maxTransferBytes, out ulong bytes))
        {
            return Errno.InvalidArgument;
        }

        bitmapBytes = (int)bytes;
        ulong needed = bytes + (ulong)(Blittable.SizeOf<DeviceFeatureMessage>() + Blittable.SizeOf<DmaLoggingReport>());
        return argSize >= needed ? Errno.None : Errno.InvalidArgument;
    }

    /// <summary>The bitmap of an unmap: long enough for the range, in whole words, and space for it in the reply.</summary>
    internal static Errno DirtyBitmapOfUnmap(
        ReadOnlySpan<byte> body, in DmaUnmapMessage unmap, int maxTransferBytes, out DirtyBitmapMessage bitmap)
    {
        int fixedBytes = Blittable.SizeOf<DmaUnmapMessage>();
        if (!Blittable.TryRead(body[fixedBytes..], out bitmap))
            return Errno.InvalidArgument;
        bool isRight = IsBitmap(unmap.Address, unmap.Size, bitmap.PageSize, maxTransferBytes, out ulong bytes)
            && bitmap.Size >= bytes && bitmap.Size <= (ulong)maxTransferBytes && bitmap.Size % 8 == 0
            && unmap.ArgSize >= bitmap.Size + (ulong)(fixedBytes + Blittable.SizeOf<DirtyBitmapMessage>());
        return isRight ? Errno.None : Errno.InvalidArgument;
    }

    /// <summary>MIG_DATA_READ: no more than a message takes, and space for it in the reply.</summary>
    internal static Errno MigrationDataRead(ReadOnlySpan<byte> body, int maxTransferBytes, out MigrationDataMessage message) =>
        Blittable.TryRead(body, out message)
        && message.Size <= (uint)maxTransferBytes
        && message.ArgSize >= (uint)Blittable.SizeOf<MigrationDataMessage>() + message.Size
            ? Errno.None
            : Errno.InvalidArgument;

    /// <summary>MIG_DATA_WRITE: as many bytes as announced.</summary>
    internal static Errno MigrationDataWrite(ReadOnlySpan<byte> body, int maxTransferBytes, out MigrationDataMessage message) =>
        Blittable.TryRead(body, out message)
        && message.ArgSize >= (uint)Blittable.SizeOf<MigrationDataMessage>()
        && message.Size <= (uint)maxTransferBytes
        && message.Size == (uint)(body.Length - Blittable.SizeOf<MigrationDataMessage>())
            ? Errno.None
            : Errno.InvalidArgument;

    private static bool IsBitmap(ulong start, ulong length, ulong pageBytes, int maxTransferBytes, out ulong bytes)
    {
        bytes = BitOperations.IsPow2(pageBytes) ? DirtyBitmap.LengthOf(length, pageBytes) : 0;
        return bytes != 0 && bytes <= (ulong)maxTransferBytes && length - 1 <= ulong.MaxValue - start;
    }
}
