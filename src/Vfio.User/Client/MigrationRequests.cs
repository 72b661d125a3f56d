using System.Numerics;
using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.User.Wire;

namespace Vfio.User.Client;

/// <summary>Sends DEVICE_FEATURE, MIG_DATA_READ and MIG_DATA_WRITE.</summary>
/// <remarks>Guarded by the client's lock.</remarks>
/// <param name="channel">The connection.</param>
/// <param name="name">The server's address, for messages.</param>
/// <param name="maxTransferBytes">Data bytes that both sides take in one message.</param>
internal sealed class MigrationRequests(ClientChannel channel, string name, int maxTransferBytes)
{
    private MigrationFeatures? _features;
    private bool? _tracks;

    /// <summary>The device's migration features as the server reports them; none when it does not know the request.</summary>
    internal MigrationFeatures Features => _features ??= AskFeatures();

    /// <summary>Whether the server reports that the device can record what it writes.</summary>
    internal bool TracksDirtyPages => _tracks ??= AskTracking();

    /// <summary>The state of the device.</summary>
    internal MigrationState GetState()
    {
        int bytes = Blittable.SizeOf<MigrationStateMessage>();
        Errno error = Ask(DeviceFeature.MigrationDeviceState, DeviceFeatureFlags.Get, default, bytes, out ReadOnlySpan<byte> data);
        if (error != Errno.None)
            throw new VfioException("the state of migration", name, error);
        return Blittable.TryRead(data, out MigrationStateMessage state) && state.DeviceState <= (uint)MigrationState.PreCopyPeerToPeer
            ? (MigrationState)state.DeviceState
            : throw channel.Break(Errno.Protocol, "its state of migration cannot be read");
    }

    /// <summary>Changes the state of the device.</summary>
    internal void SetState(MigrationState target)
    {
        MigrationStateMessage state = new() { DeviceState = (uint)target, DataDescriptor = -1 };
        Errno error = Ask(DeviceFeature.MigrationDeviceState, DeviceFeatureFlags.Set, Blittable.AsBytes(ref state), 0, out _);
        if (error != Errno.None)
            throw new VfioException($"change to {target}", name, error);
    }

    /// <summary>Reads the state, in as many messages as are needed.</summary>
    internal int Read(Span<byte> destination)
    {
        int done = 0;
        while (done < destination.Length)
        {
            int wanted = Math.Min(destination.Length - done, maxTransferBytes);
            int count = ReadOnce(destination.Slice(done, wanted));
            done += count;
            if (count < wanted)
                break;
        }

        return done;
    }

    /// <summary>Writes a state, in as many messages as are needed.</summary>
    internal void Write(ReadOnlySpan<byte> source)
    {
        while (source.Length > 0)
        {
            int count = Math.Min(source.Length, maxTransferBytes);
            MigrationDataMessage message = new() { ArgSize = (uint)(Blittable.SizeOf<MigrationDataMessage>() + count), Size = (uint)count };
            Errno error = channel.Request(Command.MigDataWrite, Blittable.AsBytes(ref message), source[..count], default, out _);
            if (error != Errno.None)
                throw new VfioException("MIG_DATA_WRITE", name, error);
            source = source[count..];
        }
    }

    /// <summary>Starts to record what is written.</summary>
    internal ulong StartTracking(ulong pageBytes, ReadOnlySpan<IovaRange> ranges)
    {
        int head = Blittable.SizeOf<DmaLoggingControl>();
        int size = Blittable.SizeOf<DmaLoggingRange>();
        byte[] data = new byte[checked(head + (size * ranges.Length))];
        Blittable.Write(data, new DmaLoggingControl { PageSize = pageBytes, RangeCount = (uint)ranges.Length });
        for (int i = 0; i < ranges.Length; i++)
        {
            DmaLoggingRange range = new() { Address = ranges[i].Start.Value, Length = ranges[i].Length };
            Blittable.Write(data.AsSpan(head + (size * i)), range);
        }

        Errno error = Ask(DeviceFeature.DmaLoggingStart, DeviceFeatureFlags.Set, data, 0, out ReadOnlySpan<byte> answer);
        if (error != Errno.None)
            throw new VfioException("start of DMA logging", name, error, $"pages of {pageBytes} bytes, {ranges.Length} ranges");
        return Blittable.TryRead(answer, out DmaLoggingControl control) && BitOperations.IsPow2(control.PageSize)
            ? control.PageSize
            : throw channel.Break(Errno.Protocol, "its start of DMA logging cannot be read");
    }

    /// <summary>Stops recording.</summary>
    internal void StopTracking()
    {
        Errno error = Ask(DeviceFeature.DmaLoggingStop, DeviceFeatureFlags.Set, default, 0, out _);
        if (error != Errno.None)
            throw new VfioException("stop of DMA logging", name, error);
    }

    /// <summary>Reports what was written, a piece of the range at a time where the bitmap is longer than a message.</summary>
    internal void Report(Iova start, ulong length, ulong pageBytes, Span<byte> bitmap)
    {
        CheckBitmap("report of DMA logging", start, length, pageBytes, bitmap.Length);
        ulong mostPages = WordsOf(maxTransferBytes) * 64;
        ulong most = mostPages <= ulong.MaxValue / pageBytes ? mostPages * pageBytes : length;
        if (most == 0)
            throw new VfioException("report of DMA logging", name, Errno.NotSupported, $"the server takes {maxTransferBytes} bytes in a message, 8 at least have to fit");
        while (length > 0)
        {
            DmaLoggingReport report = new() { Address = start.Value, Length = Math.Min(length, most), PageSize = pageBytes };
            int bytes = (int)DirtyBitmap.LengthOf(report.Length, pageBytes);
            int head = Blittable.SizeOf<DmaLoggingReport>();
            Errno error = Ask(
                DeviceFeature.DmaLoggingReport, DeviceFeatureFlags.Get, Blittable.AsBytes(ref report), bytes, out ReadOnlySpan<byte> data);
            if (error != Errno.None)
                throw new VfioException("report of DMA logging", name, error, $"{report.Length} bytes at {start}");
            if (data.Length != head + bytes)
                throw channel.Break(Errno.Protocol, $"its report of DMA logging has {data.Length} bytes, not {head + bytes}");
            Merge(data[head..], bitmap);
            length -= report.Length;
            if (length == 0)
                return;
            bitmap = bitmap[bytes..];
            start += report.Length;
        }
    }

    /// <summary>Unmaps one mapping and reports what was written in it.</summary>
    internal Errno Unmap(Iova start, ulong length, ulong pageBytes, Span<byte> bitmap)
    {
        int bytes = (int)DirtyBitmap.LengthOf(length, pageBytes);
        int head = Blittable.SizeOf<DmaUnmapMessage>() + Blittable.SizeOf<DirtyBitmapMessage>();
        DmaUnmapMessage unmap = new()
        {
            ArgSize = (uint)(head + bytes),
            Flags = DmaUnmapFlags.GetDirtyBitmap,
            Address = start.Value,
            Size = length,
        };
        DirtyBitmapMessage bits = new() { PageSize = pageBytes, Size = (ulong)bytes };
        Errno error = channel.Request(
            Command.DmaUnmap, Blittable.AsBytes(ref unmap), Blittable.AsBytes(ref bits), default, out ReadOnlySpan<byte> reply);
        if (error != Errno.None)
            return error;
        if (reply.Length != head + bytes)
            throw channel.Break(Errno.Protocol, $"its reply to DMA_UNMAP has {reply.Length} bytes, not {head + bytes}");
        Merge(reply[head..], bitmap);
        return Errno.None;
    }

    /// <summary>Refuses a request that no server could answer.</summary>
    internal void CheckBitmap(string operation, Iova start, ulong length, ulong pageBytes, int bitmapBytes)
    {
        if (DirtyBitmap.HasRoom(start, length, pageBytes, bitmapBytes))
            return;
        string what = $"{length} bytes at {start}, pages of {pageBytes} bytes, {bitmapBytes} bytes for the bits";
        throw new VfioException(operation, name, Errno.InvalidArgument, what);
    }

    /// <summary>Whether the bitmap of a range fits a message.</summary>
    internal bool FitsMessage(ulong length, ulong pageBytes) => DirtyBitmap.LengthOf(length, pageBytes) <= WordsOf(maxTransferBytes) * 8;

    private static ulong WordsOf(int bytes) => (ulong)bytes / 8;

    private static void Merge(ReadOnlySpan<byte> from, Span<byte> into)
    {
        for (int i = 0; i < from.Length; i++)
            into[i] |= from[i];
    }

    private MigrationFeatures AskFeatures()
    {
        Errno error = Ask(DeviceFeature.Migration, DeviceFeatureFlags.Get, default, sizeof(ulong), out ReadOnlySpan<byte> data);
        if (error != Errno.None)
            return MigrationFeatures.None;
        return Blittable.TryRead(data, out MigrationFeatures features)
            ? features
            : throw channel.Break(Errno.Protocol, "its features of migration cannot be read");
    }

    private bool AskTracking() =>
        Ask(DeviceFeature.DmaLoggingStart, DeviceFeatureFlags.Probe | DeviceFeatureFlags.Set, default, 0, out _) == Errno.None;

    private int ReadOnce(Span<byte> destination)
    {
        int head = Blittable.SizeOf<MigrationDataMessage>();
        MigrationDataMessage message = new() { ArgSize = (uint)(head + destination.Length), Size = (uint)destination.Length };
        Errno error = channel.Request(Command.MigDataRead, Blittable.AsBytes(ref message), default, default, out ReadOnlySpan<byte> reply);
        if (error != Errno.None)
            throw new VfioException("MIG_DATA_READ", name, error);
        bool isRight = Blittable.TryRead(reply, out MigrationDataMessage answer)
            && answer.Size <= message.Size && answer.Size <= (uint)(reply.Length - head);
        if (!isRight)
            throw channel.Break(Errno.Protocol, $"its reply to MIG_DATA_READ of {message.Size} bytes has {reply.Length} bytes");
        reply.Slice(head, (int)answer.Size).CopyTo(destination);
        return (int)answer.Size;
    }

    /// <summary>Sends a DEVICE_FEATURE.</summary>
    /// <param name="feature">Which.</param>
    /// <param name="flags">The operation.</param>
    /// <param name="data">What follows the fixed part.</param>
    /// <param name="moreBytes">How much longer than the request the reply may be, in bytes.</param>
    /// <param name="answer">What follows the fixed part of the reply; valid until the next request.</param>
    private Errno Ask(
        DeviceFeature feature, DeviceFeatureFlags flags, scoped ReadOnlySpan<byte> data, int moreBytes, out ReadOnlySpan<byte> answer)
    {
        int head = Blittable.SizeOf<DeviceFeatureMessage>();
        DeviceFeatureMessage message = new()
        {
            ArgSize = (uint)(head + data.Length + moreBytes),
            Flags = flags | (DeviceFeatureFlags)feature,
        };
        Errno error = channel.Request(Command.DeviceFeature, Blittable.AsBytes(ref message), data, default, out ReadOnlySpan<byte> reply);
        answer = default;
        if (error != Errno.None)
            return error;
        if (reply.Length < head || Blittable.Read<DeviceFeatureMessage>(reply).Flags != message.Flags)
            throw channel.Break(Errno.Protocol, $"its reply to DEVICE_FEATURE, {feature}, is for something else");
        answer = reply[head..];
        return Errno.None;
    }
}
