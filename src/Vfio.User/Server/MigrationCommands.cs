using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.User.Wire;

namespace Vfio.User.Server;

/// <summary>DEVICE_FEATURE, MIG_DATA_READ and MIG_DATA_WRITE of one session.</summary>
/// <remarks>A feature that the device does not have is ENOTTY, as in the kernel.</remarks>
internal sealed class MigrationCommands
{
    private readonly IMigratableDevice? _migratable;
    private readonly IDirtyTracker? _tracker;
    private readonly int _maxTransferBytes;

    /// <summary>Queries the device's features, which do not change while it is open.</summary>
    /// <param name="device">The device.</param>
    /// <param name="maxTransferBytes">Data bytes of one message.</param>
    internal MigrationCommands(IVfioDevice device, int maxTransferBytes)
    {
        device.TryGet(out _migratable);
        device.TryGet(out _tracker);
        _maxTransferBytes = maxTransferBytes;
    }

    /// <summary>Whether the device has any of these features.</summary>
    internal bool HasAny => _migratable is not null || _tracker is not null;

    /// <summary>DEVICE_FEATURE.</summary>
    internal Errno Feature(ReadOnlySpan<byte> body, ReplyBuffer reply)
    {
        Errno verdict = FeatureValidator.DeviceFeature(body, _migratable is not null, _tracker is not null, out DeviceFeatureMessage message);
        if (verdict != Errno.None)
            return verdict;
        ReadOnlySpan<byte> data = body[Blittable.SizeOf<DeviceFeatureMessage>()..];
        if ((message.Flags & DeviceFeatureFlags.Probe) != 0)
        {
            body.CopyTo(reply.Append(body.Length));
            return Errno.None;
        }

        return (message.Flags & DeviceFeatureFlags.Set) != 0 ? Set(message, body, data, reply) : Get(message, data, reply);
    }

    /// <summary>MIG_DATA_READ: straight into the reply.</summary>
    internal Errno ReadData(ReadOnlySpan<byte> body, ReplyBuffer reply)
    {
        if (_migratable is null)
            return Errno.NoSuchOperation;
        Errno verdict = FeatureValidator.MigrationDataRead(body, _maxTransferBytes, out MigrationDataMessage message);
        if (verdict != Errno.None)
            return verdict;
        Span<byte> head = reply.Append(Blittable.SizeOf<MigrationDataMessage>());
        int count = _migratable.ReadMigrationData(reply.Append((int)message.Size));
        reply.TakeBack((int)message.Size - count);
        Blittable.Write(head, new MigrationDataMessage { ArgSize = (uint)(head.Length + count), Size = (uint)count });
        return Errno.None;
    }

    /// <summary>MIG_DATA_WRITE: straight from the message.</summary>
    internal Errno WriteData(ReadOnlySpan<byte> body)
    {
        if (_migratable is null)
            return Errno.NoSuchOperation;
        Errno verdict = FeatureValidator.MigrationDataWrite(body, _maxTransferBytes, out _);
        if (verdict == Errno.None)
            _migratable.WriteMigrationData(body[Blittable.SizeOf<MigrationDataMessage>()..]);
        return verdict;
    }

    private Errno Get(in DeviceFeatureMessage message, ReadOnlySpan<byte> data, ReplyBuffer reply)
    {
        switch (message.Feature)
        {
            case DeviceFeature.Migration:
                return Answer(message, _migratable!.Migration, reply);
            case DeviceFeature.MigrationDeviceState:
                return Answer(
                    message, new MigrationStateMessage { DeviceState = (uint)_migratable!.MigrationState, DataDescriptor = -1 }, reply);
            default:
                return Report(message, data, reply);
        }
    }

    private static Errno Answer<T>(in DeviceFeatureMessage message, in T data, ReplyBuffer reply)
        where T : unmanaged
    {
        uint needed = (uint)(Blittable.SizeOf<DeviceFeatureMessage>() + Blittable.SizeOf<T>());
        if (message.ArgSize < needed)
            return Errno.InvalidArgument;
        reply.Append(message with { ArgSize = needed });
        reply.Append(data);
        return Errno.None;
    }

    private Errno Report(in DeviceFeatureMessage message, ReadOnlySpan<byte> data, ReplyBuffer reply)
    {
        Errno verdict = FeatureValidator.DmaLoggingReport(
            data, message.ArgSize, _maxTransferBytes, out DmaLoggingReport report, out int bitmapBytes);
        if (verdict != Errno.None)
            return verdict;
        int fixedBytes = Blittable.SizeOf<DeviceFeatureMessage>() + Blittable.SizeOf<DmaLoggingReport>();
        reply.Append(message with { ArgSize = (uint)(fixedBytes + bitmapBytes) });
        reply.Append(report);
        Span<byte> bitmap = reply.Append(bitmapBytes);
        bitmap.Clear();
        _tracker!.ReportDirtyPages(new Iova(report.Address), report.Length, report.PageSize, bitmap);
        return Errno.None;
    }

    private Errno Set(in DeviceFeatureMessage message, ReadOnlySpan<byte> body, ReadOnlySpan<byte> data, ReplyBuffer reply)
    {
        switch (message.Feature)
        {
            case DeviceFeature.MigrationDeviceState:
                if (!Blittable.TryRead(data, out MigrationStateMessage state) || state.DeviceState > (uint)MigrationState.PreCopyPeerToPeer)
                    return Errno.InvalidArgument;
                _migratable!.SetMigrationState((MigrationState)state.DeviceState);
                break;
            case DeviceFeature.DmaLoggingStart:
                return Start(body, data, reply);
            default:
                _tracker!.StopDirtyTracking();
                break;
        }

        body.CopyTo(reply.Append(body.Length));
        return Errno.None;
    }

    private Errno Start(ReadOnlySpan<byte> body, ReadOnlySpan<byte> data, ReplyBuffer reply)
    {
        Errno verdict = FeatureValidator.DmaLoggingStart(data, out DmaLoggingControl control);
        if (verdict != Errno.None)
            return verdict;
        IovaRange[] ranges = new IovaRange[control.RangeCount];
        for (int i = 0; i < ranges.Length; i++)
        {
            int at = Blittable.SizeOf<DmaLoggingControl>() + (i * Blittable.SizeOf<DmaLoggingRange>());
            DmaLoggingRange range = Blittable.Read<DmaLoggingRange>(data[at..]);
            ranges[i] = new IovaRange(new Iova(range.Address), range.Length);
        }

        control.PageSize = _tracker!.StartDirtyTracking(control.PageSize, ranges);
        Span<byte> answer = reply.Append(body.Length);
        body.CopyTo(answer);
        Blittable.Write(answer[Blittable.SizeOf<DeviceFeatureMessage>()..], control);
        return Errno.None;
    }
}
