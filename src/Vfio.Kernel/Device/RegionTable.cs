using Vfio.Native;
using Vfio.Native.Kernel;
using Vfio.Native.Memory;
using Vfio.Pci;
using Vfio.Pci.Validation;

namespace Vfio.Kernel.Device;

/// <summary>The regions of a device of the kernel; the description of each is read once.</summary>
internal sealed class RegionTable(DeviceFile file, int count)
{
    private const uint MapFlag = 4;
    private const ushort SparseCapability = 1, MsixMappableCapability = 3;
    private readonly Region?[] _regions = new Region?[count];

    /// <summary>Describes a region.</summary>
    internal RegionInfo Get(RegionIndex index) => Find(index).Info;

    /// <summary>The offset of a region's bytes in the device's file.</summary>
    internal ulong Locate(RegionIndex index, ulong offset, int bytes)
    {
        RegionInfo info = Find(index).Info;
        if (offset > info.Length || (ulong)bytes > info.Length - offset)
        {
            throw new VfioException($"{bytes} bytes of {index} at 0x{offset:x}", file.Name, Errno.InvalidArgument,
                info.Length == 0 ? "the device has no such region" : $"the region has 0x{info.Length:x} bytes");
        }

        return info.FileOffset + offset;
    }

    private Region Find(RegionIndex index)
    {
        if (index.Value >= (uint)_regions.Length)
            throw new VfioException($"info of {index}", file.Name, Errno.InvalidArgument, $"the device has {_regions.Length} regions");

        // Two threads that call at the same time get equal answers.
        return _regions[index.Value] ??= new Region(Ask(index));
    }

    private RegionInfo Ask(RegionIndex index)
    {
        byte[] answer = file.GetRegionInfo(index.Value);
        vfio_region_info info = Blittable.Read<vfio_region_info>(answer);
        if (info.size == 0)
            return RegionInfo.Absent(index);
        RegionFlags flags = (RegionFlags)(info.flags & 7);
        List<MmapArea> areas = (info.flags & MapFlag) != 0 ? AreasOf(index, info, answer) : [];

        // A capability without mmap areas: nothing can be mapped. Without the capability, the whole region can.
        return areas.Count == 0
            ? new RegionInfo(index, info.size, flags & ~RegionFlags.Map) { FileOffset = info.offset }
            : new RegionInfo(index, info.size, flags)
            {
                FileOffset = info.offset,
                File = file.Descriptor,
                MmapAreas = areas,

                // It is the device: config space, interrupts and the address space come with it.
                IsFilePrivate = true,
            };
    }

    /// <summary>The mmap areas: those of the kernel; without them all of the region, except the pages of the MSI-X table, unless the kernel says
    /// that these may be mapped too.</summary>
    private List<MmapArea> AreasOf(RegionIndex index, in vfio_region_info info, ReadOnlySpan<byte> answer)
    {
        ReadOnlySpan<byte> found = InfoBuffer.FindCapability(answer, info.cap_offset, SparseCapability);
        List<MmapArea> areas = [];
        if (Blittable.TryRead(found, out vfio_region_info_cap_sparse_mmap head))
        {
            found = found[Blittable.SizeOf<vfio_region_info_cap_sparse_mmap>()..];
            int areaBytes = Blittable.SizeOf<vfio_region_sparse_mmap_area>();
            for (int i = 0; i < head.nr_areas && found.Length >= areaBytes; i++, found = found[areaBytes..])
            {
                vfio_region_sparse_mmap_area area = Blittable.Read<vfio_region_sparse_mmap_area>(found);
                if (area.size > 0)
                    areas.Add(new MmapArea(area.offset, area.size));
            }

            return areas;
        }

        areas.Add(new MmapArea(0, info.size));
        if (index.IsBar && InfoBuffer.FindCapability(answer, info.cap_offset, MsixMappableCapability).IsEmpty && FindMsixTable(index) is { } table)
            areas = Around(table, info.size);
        return areas;
    }

    private static List<MmapArea> Around((ulong Offset, ulong Length) table, ulong regionLength)
    {
        ulong page = (ulong)Environment.SystemPageSize;
        ulong start = table.Offset & ~(page - 1);
        ulong end = (table.Offset + table.Length + page - 1) & ~(page - 1);
        List<MmapArea> areas = [];
        if (start > 0)
            areas.Add(new MmapArea(0, start));
        if (end < regionLength)
            areas.Add(new MmapArea(end, regionLength - end));
        return areas;
    }

    /// <summary>The place of the MSI-X table in a BAR; null when it is not in this BAR.</summary>
    private (ulong Offset, ulong Length)? FindMsixTable(RegionIndex index)
    {
        Span<byte> bytes = stackalloc byte[ConfigSpace.ConventionalLength];
        if (file.Read(Find(RegionIndex.Config).Info.FileOffset, bytes) != bytes.Length)
            return null;
        ConfigSpace space = new(bytes);
        return MsixLocation.Find(space, CapabilityList.Read(space)) is { } place && place.TableBar == index.Value
            ? (place.TableOffset, place.TableBytes)
            : null;
    }

    /// <summary>An answer, in an object so that other threads see all of it.</summary>
    private sealed record Region(RegionInfo Info);
}
