using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.User.Wire;

namespace Vfio.User.Client;

/// <summary>Reads the reply to DEVICE_GET_REGION_INFO, which is untrusted.</summary>
internal static class RegionInfoReply
{
    /// <summary>The most mmap areas of one region; a reply with more is refused.</summary>
    private const int MaxAreas = 1024;

    /// <summary>Largest reply that is requested, in bytes.</summary>
    internal const int MaxBytes = 64 << 10;

    /// <summary>Reads the fixed part, and the mmap areas where the reply has them.</summary>
    /// <param name="body">The reply's body.</param>
    /// <param name="index">The requested region.</param>
    /// <param name="message">The fixed part.</param>
    /// <param name="areas">The mmap areas, ascending and without overlap; null for the whole region.</param>
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
            // The region has capabilities, and they are not in the reply: the mmap areas are unknown.
            areas = [];
            return true;
        }

        return TryFindAreas(body, message, out areas);
    }

    /// <summary>Follows the list to the first sparse mmap capability, as QEMU does: in any order, since an offset may point back.</summary>
    private static bool TryFindAreas(ReadOnlySpan<byte> body, in RegionInfoMessage message, out MmapArea[]? areas)
    {
        areas = null;
        uint first = (uint)Blittable.SizeOf<RegionInfoMessage>();
        uint at = message.CapabilityOffset;

        // A list with more entries than fit the body is a loop.
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

    /// <summary>Whether a region ends at an offset that a file can have (<c>off_t</c>), as offsets here are; a region that can be
    /// mapped, at its place in the file.</summary>
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
