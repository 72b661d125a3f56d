using Vfio.Native;
using Vfio.Native.Kernel;
using Vfio.Native.Memory;
using Vfio.Providers;

namespace Vfio.Kernel.Device;

/// <summary>A container of type 1: <c>/dev/vfio/vfio</c>, for devices that come from their group.</summary>
internal sealed class TypeOneSpace : DmaSpace
{
    private const uint FlagRead = 1, FlagWrite = 2, FlagUnmapAll = 2;
    private const ushort RangeCapability = 1, MigrationCapability = 2;
    private readonly ContainerFile _container;
    private bool _isChosen;
    private bool _hasIommu;
    private ulong _dirtyPageBytes;

    /// <summary>Makes an empty one.</summary>
    /// <param name="container">A descriptor of <c>/dev/vfio/vfio</c> that another process passed; null to open it. Owned by this object.</param>
    /// <exception cref="VfioException">The kernel has no VFIO, or another version of it.</exception>
    public TypeOneSpace(FileDescriptor? container = null)
        : base("/dev/vfio/vfio")
    {
        _container = new ContainerFile(container ?? KernelFile.Open("/dev/vfio/vfio", ErrorHint.Container));
        int version = _container.GetApiVersion();
        if (version == 0)
            return;
        _container.Dispose();
        throw new VfioException("VFIO_GET_API_VERSION", Name, Errno.NotSupported, $"it has version {version}, not 0");
    }

    /// <summary>Takes a container over whose group another process has added already.</summary>
    /// <param name="container">Its descriptor; owned by this object, also when this throws.</param>
    /// <exception cref="VfioException">It is no container, or is without an IOMMU.</exception>
    internal static TypeOneSpace Adopt(FileDescriptor container)
    {
        TypeOneSpace space;
        try
        {
            space = new TypeOneSpace(container);
        }
        catch
        {
            container.Dispose();
            throw;
        }

        space._isChosen = space._hasIommu = true;
        return space;
    }

    /// <summary>The container, to be passed.</summary>
    internal FileDescriptor Descriptor => _container.Descriptor;

    /// <summary>Whether there is an IOMMU; without one, devices reach all memory, and nothing can be mapped.</summary>
    public bool IsTranslated => _hasIommu;

    /// <inheritdoc/>
    /// <remarks>Since Linux 5.8. Type 1 does not read the hardware's dirty bits: every page that a hardware device could have written counts as
    /// written.</remarks>
    public override bool TracksDirtyPages => _dirtyPageBytes != 0;

    internal override string NoDirtyPagesHint =>
        "neither the device nor its container keeps a record of what it writes; there is no IOMMU, or the kernel is older than 5.8";

    private protected override ulong DirtyPageBytes => _dirtyPageBytes;

    /// <summary>Adds a group; the first one selects the type of the container.</summary>
    internal void Take(GroupFile group, bool isTranslated)
    {
        group.SetContainer(_container);
        if (_isChosen)
            return;
        ContainerExtension type = isTranslated ? ContainerExtension.Type1V2 : ContainerExtension.NoIommu;
        if (!_container.HasExtension(type))
            throw new VfioException("VFIO_CHECK_EXTENSION", Name, Errno.NotSupported, $"the kernel has no {type}; load vfio_iommu_type1");
        _container.SetIommu(type);
        _isChosen = true;
        _hasIommu = isTranslated;
    }

    private protected override void Attach(DeviceFile device)
    {
        // A device from its group is in the group's container already.
    }

    private protected override IReadOnlyList<IovaRange> ReadRanges()
    {
        if (!_hasIommu)
            return IovaRange.Default;
        byte[] info = _container.GetInfo();
        uint first = Blittable.Read<vfio_iommu_type1_info>(info).cap_offset;
        ReadOnlySpan<byte> found = InfoBuffer.FindCapability(info, first, MigrationCapability);
        if (Blittable.TryRead(found, out vfio_iommu_type1_info_cap_migration migration))
            _dirtyPageBytes = migration.pgsize_bitmap & (~migration.pgsize_bitmap + 1);
        found = InfoBuffer.FindCapability(info, first, RangeCapability);
        if (!Blittable.TryRead(found, out vfio_iommu_type1_info_cap_iova_range head))
            return IovaRange.Default;
        found = found[Blittable.SizeOf<vfio_iommu_type1_info_cap_iova_range>()..];
        IovaRange[] ranges = new IovaRange[Math.Min(head.nr_iovas, (uint)(found.Length / Blittable.SizeOf<vfio_iova_range>()))];
        for (int i = 0; i < ranges.Length; i++)
        {
            vfio_iova_range range = Blittable.Read<vfio_iova_range>(found[(i * Blittable.SizeOf<vfio_iova_range>())..]);
            ranges[i] = Usable(range.start, range.end);
        }

        return ranges;
    }

    private protected override void Pin(SharedMemory memory, in DmaMapping mapping)
    {
        if (!_hasIommu)
            throw new VfioException($"map at {mapping.Start}", Name, Errno.NotSupported, "there is no IOMMU: the device reaches physical memory only");
        _container.MapDma(new vfio_iommu_type1_dma_map
        {
            flags = ((mapping.Access & DmaAccess.Read) != 0 ? FlagRead : 0) | ((mapping.Access & DmaAccess.Write) != 0 ? FlagWrite : 0),
            vaddr = memory.AddressOf(mapping.MemoryOffset),
            iova = mapping.Start.Value,
            size = mapping.Length,
        });
    }

    private protected override void Unpin(ulong start, ulong length) =>
        _container.UnmapDma(new vfio_iommu_type1_dma_unmap { iova = start, size = length });

    private protected override void UnpinAll() =>
        _container.UnmapDma(new vfio_iommu_type1_dma_unmap { flags = FlagUnmapAll });

    /// <summary>Unmaps all that any process mapped through this container.</summary>
    internal void Forget() => UnpinAll();

    private protected override void SetDirtyTracking(bool isOn) => _container.SetDirtyPages(isOn);

    /// <summary>The kernel reports whole mappings only.</summary>
    private protected override void CollectDirty(in DmaMapping mapping, ulong first, ulong last, DirtyLog written)
    {
        Span<byte> bits = BitsFor(mapping.Length);
        _container.GetDirtyBitmap(mapping.Start.Value, mapping.Length, DirtyPageBytes, bits);
        written.Mark(mapping.Start.Value, DirtyPageBytes, bits);
    }

    private protected override void UnpinDirty(in DmaMapping mapping, DirtyLog written)
    {
        Span<byte> bits = BitsFor(mapping.Length);
        _container.UnmapDma(mapping.Start.Value, mapping.Length, DirtyPageBytes, bits);
        written.Mark(mapping.Start.Value, DirtyPageBytes, bits);
    }

    private protected override void Close() => _container.Dispose();
}
