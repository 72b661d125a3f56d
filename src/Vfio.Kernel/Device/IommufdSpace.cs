using Vfio.Native;

namespace Vfio.Kernel;

/// <summary>An I/O address space (IOAS) of iommufd: <c>/dev/iommu</c>, for devices that come from <c>/dev/vfio/devices</c>.</summary>
public sealed class IommufdSpace : DmaSpace
{
    private const uint FixedAddress = 1, Writeable = 2, Readable = 4;
    private readonly IommuFile _iommu;
    private readonly uint _id;

    /// <summary>Makes an empty one.</summary>
    /// <param name="iommu">A descriptor of <c>/dev/iommu</c> that somebody passed; null to open it. Owned by this object.</param>
    /// <exception cref="VfioException">The kernel has no iommufd.</exception>
    public IommufdSpace(FileDescriptor? iommu = null)
        : base("/dev/iommu")
    {
        _iommu = new IommuFile(iommu ?? KernelFile.Open("/dev/iommu", Advice.Iommufd));
        try
        {
            _id = _iommu.AllocateIoas();
        }
        catch
        {
            _iommu.Dispose();
            throw;
        }
    }

    private protected override void Attach(DeviceFile device)
    {
        device.BindIommufd(_iommu);
        device.AttachIommufd(_id);
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

    private protected override void Close() => _iommu.Dispose();
}
