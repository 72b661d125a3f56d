using System.Runtime.CompilerServices;
using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.User.Wire;

namespace Vfio.User.Server;

/// <summary>Validates requests: one function for each command, without side effects.</summary>
/// <remarks>Each checks in the order of the specification, ranges by subtraction so that no sum can wrap, and returns the error
/// or <see cref="Errno.None"/>. Nothing is allocated, claimed or done before that.</remarks>
internal static class RequestValidator
{
    /// <summary>VERSION: the numbers and the capabilities. Any minor version is valid: the lower one of both sides holds.</summary>
    internal static Errno Version(ReadOnlySpan<byte> body, out VersionMessage message, out Capabilities capabilities)
    {
        capabilities = default;
        if (!Blittable.TryRead(body, out message) || body.Length > Protocol.MaxVersionBytes)
            return Errno.InvalidArgument;
        return message.Major == Protocol.MajorVersion && CapabilitiesJson.TryRead(body[Blittable.SizeOf<VersionMessage>()..], out capabilities)
            ? Errno.None
            : Errno.InvalidArgument;
    }

    /// <summary>DEVICE_GET_INFO: space for the reply.</summary>
    internal static Errno DeviceGetInfo(ReadOnlySpan<byte> body) =>
        Blittable.TryRead(body, out DeviceInfoMessage message) && message.ArgSize >= Blittable.SizeOf<DeviceInfoMessage>()
            ? Errno.None
            : Errno.InvalidArgument;

    /// <summary>DEVICE_GET_REGION_INFO: space for the fixed part of the reply, and an index that exists.</summary>
    internal static Errno DeviceGetRegionInfo(ReadOnlySpan<byte> body, int regionCount, out RegionInfoMessage message) =>
        Blittable.TryRead(body, out message)
        && message.ArgSize >= Blittable.SizeOf<RegionInfoMessage>()
        && message.Index < (uint)regionCount
            ? Errno.None
            : Errno.InvalidArgument;

    /// <summary>DEVICE_GET_IRQ_INFO: space for the reply, and an index that exists.</summary>
    internal static Errno DeviceGetIrqInfo(ReadOnlySpan<byte> body, int interruptCount, out IrqInfoMessage message) =>
        Blittable.TryRead(body, out message)
        && message.ArgSize >= Blittable.SizeOf<IrqInfoMessage>()
        && message.Index < (uint)interruptCount
            ? Errno.None
            : Errno.InvalidArgument;

    /// <summary>REGION_READ: a range inside a region that can be read.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Errno RegionRead(ReadOnlySpan<byte> body, ReadOnlySpan<RegionInfo> regions, int maxTransferBytes, out RegionAccessMessage access) =>
        Blittable.TryRead(body, out access) ? Access(access, regions, maxTransferBytes, RegionFlags.Read) : Errno.InvalidArgument;

    /// <summary>REGION_WRITE: as many bytes as announced, for a range inside a region that can be written.</summary>
    internal static Errno RegionWrite(ReadOnlySpan<byte> body, ReadOnlySpan<RegionInfo> regions, int maxTransferBytes, out RegionAccessMessage access) =>
        Blittable.TryRead(body, out access) && access.Count == (uint)(body.Length - Blittable.SizeOf<RegionAccessMessage>())
            ? Access(access, regions, maxTransferBytes, RegionFlags.Write)
            : Errno.InvalidArgument;

    /// <summary>REGION_WRITE_MULTI: as many writes as announced, each of at most 8 bytes for a range inside a region that can be
    /// written.</summary>
    internal static Errno RegionWriteMulti(ReadOnlySpan<byte> body, ReadOnlySpan<RegionInfo> regions, out int count)
    {
        int single = Blittable.SizeOf<RegisterWriteMessage>();
        count = (body.Length - Blittable.SizeOf<WriteMultiMessage>()) / single;
        if (!Blittable.TryRead(body, out WriteMultiMessage message)
            || message.Count != (ulong)count
            || body.Length != Blittable.SizeOf<WriteMultiMessage>() + (count * single))
        {
            return Errno.InvalidArgument;
        }

        for (int i = 0; i < count; i++)
        {
            RegisterWriteMessage write = Blittable.Read<RegisterWriteMessage>(body[(Blittable.SizeOf<WriteMultiMessage>() + (i * single))..]);
            Errno verdict = Access(write.Access, regions, sizeof(ulong), RegionFlags.Write);
            if (verdict != Errno.None)
                return verdict;
        }

        return Errno.None;
    }

    /// <summary>DEVICE_GET_REGION_IO_FDS: an index that exists and nothing else set, and space for the fixed part of the reply.</summary>
    internal static Errno DeviceGetRegionIoFds(ReadOnlySpan<byte> body, int regionCount, out RegionIoFdsMessage message) =>
        Blittable.TryRead(body, out message)
        && message.ArgSize >= Blittable.SizeOf<RegionIoFdsMessage>()
        && message is { Flags: 0, Count: 0 }
        && message.Index < (uint)regionCount
            ? Errno.None
            : Errno.InvalidArgument;

    /// <summary>DMA_MAP: some access to whole pages that do not wrap, at most one descriptor, and one mapping below the limit.</summary>
    internal static Errno DmaMap(ReadOnlySpan<byte> body, int descriptors, int mappings, int maxMappings, out DmaMapMessage message)
    {
        if (!Blittable.TryRead(body, out message) || message.ArgSize < Blittable.SizeOf<DmaMapMessage>())
            return Errno.InvalidArgument;
        if (message.Flags == DmaAccess.None || (message.Flags & ~DmaAccess.ReadWrite) != 0 || descriptors > 1)
            return Errno.InvalidArgument;
        bool aligned = ((message.Address | message.Size | message.Offset) & (Protocol.PageBytes - 1)) == 0;
        if (!aligned || message.Size == 0 || message.Size - 1 > ulong.MaxValue - message.Address)
            return Errno.InvalidArgument;
        return mappings < maxMappings ? Errno.None : Errno.NoSpace;
    }

    /// <summary>DMA_UNMAP: space for the reply; one range, or all of them with address and size 0. For the bitmap see
    /// <see cref="FeatureValidator.DirtyBitmapOfUnmap"/>.</summary>
    internal static Errno DmaUnmap(ReadOnlySpan<byte> body, out DmaUnmapMessage message)
    {
        if (!Blittable.TryRead(body, out message) || message.ArgSize < Blittable.SizeOf<DmaUnmapMessage>())
            return Errno.InvalidArgument;
        return message.Flags switch
        {
            DmaUnmapFlags.None => Errno.None,
            DmaUnmapFlags.GetDirtyBitmap => Errno.None,
            DmaUnmapFlags.All => message is { Address: 0, Size: 0 } ? Errno.None : Errno.InvalidArgument,
            _ => Errno.InvalidArgument,
        };
    }

    /// <summary>DEVICE_SET_IRQS: one kind of data, one action, vectors that exist, and just the data and descriptors for them.</summary>
    internal static Errno DeviceSetIrqs(
        ReadOnlySpan<byte> body, int descriptors, ReadOnlySpan<InterruptInfo> interrupts, out SetIrqsMessage message)
    {
        int fixedBytes = Blittable.SizeOf<SetIrqsMessage>();
        if (!Blittable.TryRead(body, out message) || message.ArgSize < fixedBytes || message.Index >= (uint)interrupts.Length)
            return Errno.InvalidArgument;
        IrqSetFlags data = message.Flags & IrqSetFlags.DataMask;
        IrqSetFlags action = message.Flags & IrqSetFlags.ActionBits;
        if (message.Flags != (data | action) || !uint.IsPow2((uint)data) || !uint.IsPow2((uint)action))
            return Errno.InvalidArgument;
        uint vectors = (uint)interrupts[(int)message.Index].Count;
        if (message.Start >= vectors || message.Count > vectors - message.Start)
            return Errno.InvalidArgument;
        if (message.Count == 0 && (message.Start != 0 || data != IrqSetFlags.DataNone || action != IrqSetFlags.ActionTrigger))
            return Errno.InvalidArgument;
        bool right = data switch
        {
            IrqSetFlags.DataBool => descriptors == 0
                && (uint)(body.Length - fixedBytes) == message.Count
                && message.ArgSize - (uint)fixedBytes >= message.Count,
            IrqSetFlags.DataEventFd => descriptors == 0 || descriptors == message.Count,
            _ => descriptors == 0,
        };
        return right ? Errno.None : Errno.InvalidArgument;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Errno Access(in RegionAccessMessage access, ReadOnlySpan<RegionInfo> regions, int maxTransferBytes, RegionFlags direction)
    {
        if (access.Region >= (uint)regions.Length || access.Count > (uint)maxTransferBytes)
            return Errno.InvalidArgument;
        ref readonly RegionInfo region = ref regions[(int)access.Region];
        if (access.Offset > region.Length || access.Count > region.Length - access.Offset)
            return Errno.InvalidArgument;
        return (region.Flags & direction) != 0 ? Errno.None : Errno.AccessDenied;
    }
}
