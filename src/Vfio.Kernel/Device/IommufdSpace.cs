using Vfio.Native;
using Vfio.Native.Kernel;
using Vfio.Providers;

namespace Vfio.Kernel.Device;

/// <summary>An I/O address space (IOAS) of iommufd: <c>/dev/iommu</c>, for devices that come from <c>/dev/vfio/devices</c>.</summary>
internal sealed class IommufdSpace : DmaSpace
{
    private const uint FixedAddress = 1, Writeable = 2, Readable = 4;
    private readonly IommuFile _iommu;
    private readonly uint _id;
    private readonly PageTables _tables;

    /// <summary>Makes an empty one.</summary>
    /// <param name="iommu">A descriptor of <c>/dev/iommu</c> that another process passed; null to open it. Owned by this object.</param>
    /// <exception cref="VfioException">The kernel has no iommufd.</exception>
    public IommufdSpace(FileDescriptor? iommu = null)
        : base("/dev/iommu")
    {
        _iommu = new IommuFile(iommu ?? KernelFile.Open("/dev/iommu", ErrorHint.Iommufd));
        try
        {
            _id = _iommu.AllocateIoas();
            _tables = new PageTables(_iommu, _id);
        }
        catch
        {
            _iommu.Dispose();
            throw;
        }
    }

    /// <summary>Makes an empty one in the iommufd context of another, for PASIDs of the same devices; see
    /// <see cref="KernelDevice.AttachPasid"/>.</summary>
    /// <param name="beside">The address space that the devices are in.</param>
    /// <exception cref="VfioException">The process has no descriptors left (EMFILE).</exception>
    public IommufdSpace(IommufdSpace beside)
        : this((beside ?? throw new ArgumentNullException(nameof(beside)))._iommu.Descriptor.Duplicate()) => Context = beside.Context;

    /// <inheritdoc/>
    /// <remarks>True if the IOMMU's hardware has dirty bits (VT-d with SSADS, AMD's with HDSup, SMMUv3 with HTTU) and its driver reports them,
    /// since Linux 6.7.</remarks>
    public override bool TracksDirtyPages => _tables.TrackAll;

    internal override string NoDirtyPagesHint => "neither the device nor its IOMMU keeps a record of what it writes; "
        + "with the group interface, all pages that it could have written count as written";

    /// <summary>The part that the address spaces of one iommufd context share: devices' ids and page tables.</summary>
    internal object Context { get; } = new();

    private protected override ulong DirtyPageBytes => (ulong)Environment.SystemPageSize;

    /// <summary>Width of a device's PASIDs in bits; 0 without PASIDs.</summary>
    internal int PasidBitsOf(DeviceFile device) => _tables.PasidBitsOf(device.IommufdNumber);

    /// <summary>Makes requests of a device with a PASID use this space. The device itself is in another space of the same context.</summary>
    internal void AttachPasid(DeviceFile device, uint pasid) =>
        Admit(device, file => _tables.Attach(file, pasid, IsTracking));

    private protected override void Attach(DeviceFile device)
    {
        if (!device.IsBound)
            device.BindIommufd(_iommu);
        _tables.Attach(device, pasid: null, IsTracking);
    }

    private protected override IReadOnlyList<IovaRange> ReadRanges() =>
        [.. _iommu.GetIovaRanges(_id).Select(range => Usable(range.start, range.last))];

    private protected override void Pin(SharedMemory memory, in DmaMapping mapping) => _iommu.Map(new iommu_ioas_map
    {
        flags = FixedAddress | ((mapping.Access & DmaAccess.Write) != 0 ? Writeable : 0) | ((mapping.Access & DmaAccess.Read) != 0 ? Readable : 0),
        ioas_id = _id,
        user_va = memory.AddressOf(mapping.MemoryOffset),
        length = mapping.Length,
        iova = mapping.Start.Value,
    });

    private protected override void Unpin(ulong start, ulong length) => _iommu.Unmap(_id, start, length);

    private protected override void UnpinAll() => _iommu.Unmap(_id, 0, ulong.MaxValue);

    private protected override void SetDirtyTracking(bool isOn) => _tables.SetDirtyTracking(isOn);

    private protected override void CollectDirty(in DmaMapping mapping, ulong first, ulong last, DirtyLog written)
    {
        ulong start = first & ~(DirtyPageBytes - 1);
        ulong length = (last | (DirtyPageBytes - 1)) - start + 1;
        Span<byte> bits = BitsFor(length);
        _tables.GetDirtyBitmap(start, length, DirtyPageBytes, bits);
        written.Mark(start, DirtyPageBytes, bits);
    }

    private protected override void UnpinDirty(in DmaMapping mapping, DirtyLog written)
    {
        // No request both unmaps and reports; pages written between two requests would be lost.
        Unpin(mapping.Start.Value, mapping.Length);
        written.Mark(mapping.Start.Value, (long)mapping.Length);
    }

    private protected override void Close()
    {
        // Another space may keep the file open: then only this unpins the memory.
        _tables.Destroy();
        _iommu.Dispose();
    }
}
