using Vfio.Native;
using Vfio.Native.Kernel;

namespace Vfio.Run.Interface;

/// <summary><c>/dev/vfio/vfio</c>: a container, which is an I/O address space once a group is in it.</summary>
/// <remarks>It lives as long as a group is in it, open or not: <c>drivers/vfio/container.c</c>.</remarks>
/// <param name="record">Where it is recorded what is left behind.</param>
internal sealed class ServedContainer(RunRecord record) : ServedFile
{
    private const uint ApiVersion = 0;
    private readonly Lock _lock = new();
    private int _groups;

    /// <summary>The address space; null before VFIO_SET_IOMMU, and when the last group has left.</summary>
    internal TypeOneSpace? Iommu { get; private set; }

    /// <summary>A group comes in.</summary>
    /// <returns>EBUSY: mappings of it wait for their new memory.</returns>
    internal Errno Enter()
    {
        lock (_lock)
        {
            if (Iommu is { HasInvalid: true })
                return Errno.Busy;
            _groups++;
            return Errno.None;
        }
    }

    /// <summary>A group leaves; the last one takes the address space with it.</summary>
    internal void Leave()
    {
        TypeOneSpace? last = null;
        lock (_lock)
        {
            if (--_groups == 0)
                (last, Iommu) = (Iommu, null);
        }

        if (last is null)
            return;
        last.Space.FindLeaks(record, "/dev/vfio/vfio");
        last.Space.Clear();
    }

    /// <inheritdoc/>
    protected override long OnIoctl(ICaller caller, uint request, ulong argument) => (KernelRequest)request switch
    {
        KernelRequest.VFIO_GET_API_VERSION => ApiVersion,
        KernelRequest.VFIO_CHECK_EXTENSION => HasExtension(argument) ? 1 : 0,
        KernelRequest.VFIO_SET_IOMMU => Answer.Of(SetIommu(argument)),
        _ => Iommu?.Ioctl(caller, request, argument) ?? Answer.Of(Errno.InvalidArgument),
    };

    /// <inheritdoc/>
    protected override void OnClose()
    {
    }

    private bool HasExtension(ulong extension) => (ContainerExtension)extension switch
    {
        ContainerExtension.Type1 or ContainerExtension.Type1V2 or ContainerExtension.UnmapAll => true,

        // Of an address space that is there; each device's accesses are coherent.
        ContainerExtension.UpdateVaddr or ContainerExtension.CoherentDma => Iommu is not null,
        _ => false,
    };

    private Errno SetIommu(ulong type)
    {
        lock (_lock)
        {
            if (_groups == 0 || Iommu is not null)
                return Errno.InvalidArgument;
            switch ((ContainerExtension)type)
            {
                case ContainerExtension.Type1 or ContainerExtension.Type1V2:
                    Iommu = new TypeOneSpace(new AddressSpace(), isV2: type == (ulong)ContainerExtension.Type1V2);
                    return Errno.None;
                case ContainerExtension.UnmapAll:
                    // An extension of this driver, but no kind of address space.
                    return Errno.InvalidArgument;
                default:
                    return Errno.NoDevice;
            }
        }
    }
}
