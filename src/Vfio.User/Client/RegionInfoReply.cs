using Vfio.Native;

namespace Vfio.User;

/// <summary>Reads the reply to DEVICE_GET_REGION_INFO, which may be anything.</summary>
internal static class RegionInfoReply
{
    /// <summary>More areas than this in one region are refused.</summary>
    private const int MaxAreas = 1024;

    /// <summary>Largest reply that is asked for, in bytes.</summary>
    internal const int MaxBytes = 64 << 10;

    /// <summary>Reads the fixed part, and the areas where the reply has them.</summary>
    /// <param name="body">The reply's body.</param>
    /// <param name="index">Which region was asked for.</param>
    /// <param name="message">The fixed part.</param>
    /// <param name="areas">What may be mapped; empty for all of it.</param>
    /// <returns>False when the reply contradicts itself.</returns>
    internal static bool TryRead(ReadOnlySpan<byte> body, uint index, out RegionInfoMessage message, out MappableArea[] areas)
    {
        areas = [];
        if (!Blittable.TryRead(body, out message) || message.Index != index || !IsInsideFile(message))
            return false;
        uint at = (message.Flags & RegionInfoMessage.HasCapabilities) != 0 ? message.CapabilityOffset : 0;
        uint least = (uint)Blittable.SizeOf<RegionInfoMessage>();
        while (at != 0)
        {
            // Only forward, so that a list cannot be a loop.
            if (at < least || at > (uint)body.Length || !Blittable.TryRead(body[(int)at..], out CapabilityHeader header))
                return false;
            least = at + (uint)Blittable.SizeOf<CapabilityHeader>();
            if (header is { Id: CapabilityHeader.SparseMmap, Version: 1 } && !TryReadAreas(body[(int)least..], message.Size, out areas))
                return false;
            at = header.Next;
        }

        return true;
    }

    /// <summary>Whether a region that can be mapped ends at an offset that a file can have (<c>off_t</c>).</summary>
    private static bool IsInsideFile(in RegionInfoMessage message) =>
        ((RegionFlags)message.Flags & RegionFlags.Map) == 0
        || (message.Offset <= long.MaxValue && message.Size <= long.MaxValue - message.Offset);

    private static bool TryReadAreas(ReadOnlySpan<byte> body, ulong regionLength, out MappableArea[] areas)
    {
        areas = [];
        if (!Blittable.TryRead(body, out SparseMmapMessage message) || message.AreaCount > MaxAreas)
            return false;
        ReadOnlySpan<byte> rest = body[Blittable.SizeOf<SparseMmapMessage>()..];
        if (rest.Length / Blittable.SizeOf<SparseMmapArea>() < message.AreaCount)
            return false;
        areas = new MappableArea[message.AreaCount];
        ulong end = 0;
        for (int i = 0; i < areas.Length; i++)
        {
            SparseMmapArea area = Blittable.Read<SparseMmapArea>(rest[(i * Blittable.SizeOf<SparseMmapArea>())..]);
            bool inside = area.Offset >= end && area.Offset <= regionLength && area.Size <= regionLength - area.Offset;
            if (!inside || area.Size == 0 || ((area.Offset | area.Size) & (Protocol.PageBytes - 1)) != 0)
                return false;
            areas[i] = new MappableArea(area.Offset, area.Size);
            end = area.Offset + area.Size;
        }

        return true;
    }
}
