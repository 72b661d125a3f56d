using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.User.Wire;

namespace Vfio.User.Client;

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
    /// <param name="areas">What may be mapped, in order and apart; null for all of it.</param>
    /// <returns>False when the reply contradicts itself.</returns>
    internal static bool TryRead(ReadOnlySpan<byte> body, uint index, out RegionInfoMessage message, out MmapArea[]? areas)
    {
        areas = null;
        if (!Blittable.TryRead(body, out message) || message.Index != index || !IsInsideFile(message))
            return false;
        if ((message.Flags & RegionInfoMessage.HasCapabilities) == 0)
            return true;
        if (message.CapabilityOffset == 0)
        {
            // There are capabilities, and they are not here: nobody knows which parts may be mapped.
            areas = [];
            return true;
        }

        return TryFindAreas(body, message, out areas);
    }

    /// <summary>Follows the list to the first capability that tells the areas, as QEMU does: in any order, for a link may point back.</summary>
    private static bool TryFindAreas(ReadOnlySpan<byte> body, in RegionInfoMessage message, out MmapArea[]? areas)
    {
        areas = null;
        uint first = (uint)Blittable.SizeOf<RegionInfoMessage>();
        uint at = message.CapabilityOffset;

        // A list that has more than fit is a loop.
        for (int left = body.Length / Blittable.SizeOf<CapabilityHeader>(); at != 0; left--)
        {
            if (left == 0 || at < first || at > (uint)body.Length || !Blittable.TryRead(body[(int)at..], out CapabilityHeader header))
                return false;
            if (header.Id == CapabilityHeader.SparseMmap)
                return TryReadAreas(body[((int)at + Blittable.SizeOf<CapabilityHeader>())..], message.Size, out areas);
            at = header.Next;
        }

        return true;
    }

    /// <summary>Whether a region ends at an offset that a file can have (<c>off_t</c>), which is what offsets are here; one that can be
    /// mapped, where it is in its file.</summary>
    private static bool IsInsideFile(in RegionInfoMessage message)
    {
        ulong start = ((RegionFlags)message.Flags & RegionFlags.Map) == 0 ? 0 : message.Offset;
        return start <= long.MaxValue && message.Size <= long.MaxValue - start;
    }

    private static bool TryReadAreas(ReadOnlySpan<byte> body, ulong regionLength, out MmapArea[]? areas)
    {
        areas = null;
        if (!Blittable.TryRead(body, out SparseMmapMessage message) || message.AreaCount > MaxAreas)
            return false;
        ReadOnlySpan<byte> rest = body[Blittable.SizeOf<SparseMmapMessage>()..];
        if (rest.Length / Blittable.SizeOf<SparseMmapArea>() < message.AreaCount)
            return false;
        List<MmapArea> found = [];
        for (int i = 0; i < message.AreaCount; i++)
        {
            SparseMmapArea area = Blittable.Read<SparseMmapArea>(rest[(i * Blittable.SizeOf<SparseMmapArea>())..]);
            if (area.Size == 0)
                continue;
            bool isInside = area.Offset <= regionLength && area.Size <= regionLength - area.Offset;
            if (!isInside || ((area.Offset | area.Size) & (Protocol.PageBytes - 1)) != 0)
                return false;
            found.Add(new MmapArea(area.Offset, area.Size));
        }

        areas = InOrderAndApart(found);
        return true;
    }

    private static MmapArea[] InOrderAndApart(List<MmapArea> areas)
    {
        List<MmapArea> apart = [];
        foreach (MmapArea area in areas.OrderBy(area => area.Offset))
        {
            if (apart.Count > 0 && apart[^1] is var last && area.Offset < last.Offset + last.Length)
                apart[^1] = last with { Length = Math.Max(last.Length, area.Offset + area.Length - last.Offset) };
            else
                apart.Add(area);
        }

        return [.. apart];
    }
}
