using Vfio.Native;
using Vfio.Native.Kernel;

namespace Vfio.Kernel.Device;

/// <summary>The page tables (HWPT) of an I/O address space of iommufd, where the kernel's default does not suffice.</summary>
/// <remarks>A page table with dirty tracking, or one that supports PASIDs, has to be allocated as such before the device is attached. Used
/// by one thread at a time.</remarks>
internal sealed class PageTables(IommuFile iommu, uint addressSpace)
{
    private const ulong DirtyTrackingCapability = 1;
    private const uint DirtyTracking = 2, Pasid = 8;
    private readonly List<(uint Id, uint Flags)> _tables = [];
    private int _untracked;

    /// <summary>Whether there is a device, and the page table of every device supports dirty tracking.</summary>
    internal bool TrackAll => _untracked == 0 && Tracking.Any();

    private IEnumerable<uint> Tracking => _tables.Where(table => (table.Flags & DirtyTracking) != 0).Select(table => table.Id);

    /// <summary>Attaches a device to a page table that fits, or to the kernel's default.</summary>
    /// <param name="device">The device, which is bound.</param>
    /// <param name="pasid">The PASID; null for requests without one.</param>
    /// <param name="isTracking">Whether to start dirty tracking at once.</param>
    internal void Attach(DeviceFile device, uint? pasid, bool isTracking)
    {
        uint flags = FlagsFor(device.IommufdNumber);
        bool isIn = flags != 0 && (_tables.Any(table => table.Flags == flags && TryAttach(device, table.Id, pasid))
            || TryAttachNew(device, pasid, flags, isTracking));
        if (!isIn)
            device.AttachIommufd(addressSpace, pasid);
        if (!isIn || (flags & DirtyTracking) == 0)
            _untracked++;
    }

    /// <summary>Width of a device's PASIDs in bits; 0 when it has none, or the kernel does not report it.</summary>
    internal int PasidBitsOf(uint device) => InfoOf(device).out_max_pasid_log2;

    /// <summary>Starts or stops dirty tracking.</summary>
    internal void SetDirtyTracking(bool isOn)
    {
        foreach (uint table in Tracking)
            iommu.SetDirtyTracking(table, isOn);
    }

    /// <summary>Sets the bits of the pages that any device wrote, and clears the record.</summary>
    internal void GetDirtyBitmap(ulong start, ulong length, ulong pageBytes, Span<byte> bitmap)
    {
        foreach (uint table in Tracking)
            iommu.GetDirtyBitmap(table, start, length, pageBytes, bitmap);
    }

    /// <summary>Destroys the page tables and the address space that no device uses any more.</summary>
    internal void Destroy()
    {
        foreach (uint id in _tables.Select(table => table.Id).Append(addressSpace))
            TryDestroy(id);
        _tables.Clear();
    }

    private bool TryAttachNew(DeviceFile device, uint? pasid, uint flags, bool isTracking)
    {
        if (TryMake(device.IommufdNumber, flags) is not { } table)
            return false;
        if (!TryAttach(device, table, pasid))
        {
            TryDestroy(table);
            return false;
        }

        _tables.Add((table, flags));
        if (isTracking && (flags & DirtyTracking) != 0)
            iommu.SetDirtyTracking(table, isOn: true);
        return true;
    }

    private uint? TryMake(uint device, uint flags)
    {
        try
        {
            return iommu.AllocatePageTable(device, addressSpace, flags);
        }
        catch (VfioException)
        {
            // A device is opened even if the IOMMU's driver reports a feature and then refuses it.
            return null;
        }
    }

    private static bool TryAttach(DeviceFile device, uint table, uint? pasid)
    {
        try
        {
            device.AttachIommufd(table, pasid);
            return true;
        }
        catch (VfioException refusal) when (refusal.Errno == Errno.InvalidArgument)
        {
            return false;
        }
    }

    private void TryDestroy(uint id)
    {
        try
        {
            iommu.Destroy(id);
        }
        catch (VfioException)
        {
            // A device still uses it: it ends with the device, or with the last descriptor of the file.
        }
    }

    private uint FlagsFor(uint device)
    {
        iommu_hw_info info = InfoOf(device);
        return ((info.out_capabilities & DirtyTrackingCapability) != 0 ? DirtyTracking : 0) | (info.out_max_pasid_log2 > 0 ? Pasid : 0);
    }

    /// <summary>All 0 if the kernel does not report it: before Linux 6.6, and for a device without a hardware IOMMU.</summary>
    private iommu_hw_info InfoOf(uint device)
    {
        try
        {
            return iommu.GetHwInfo(device);
        }
        catch (VfioException)
        {
            return default;
        }
    }
}
