using Vfio.Native;
using Vfio.Native.Errors;
using Vfio.Native.Kernel;
using Vfio.Pci;

namespace Vfio.Kernel.Device;

/// <summary>A device that is opened here and used by another process, which <see cref="KernelDevice.Adopt"/>s its descriptors.</summary>
/// <remarks>Both processes have the same open files: what one does the other can do too. Any thread may use it.</remarks>
internal sealed class PassableDevice : IDisposable
{
    private const uint RaiseNow = 32 | 1;
    private readonly DeviceFile _device;
    private readonly KernelFile? _group;
    private readonly FileDescriptor _space;

    // Of a container only: an iommufd's space is made by who binds the device.
    private readonly TypeOneSpace? _container;

    /// <summary>Takes what was opened by a group.</summary>
    internal PassableDevice(DeviceFile device, GroupFile group, TypeOneSpace container)
    {
        _device = device;
        _group = group;
        _container = container;
        _space = container.Descriptor;
    }

    /// <summary>Takes the device's own file, and the iommufd that it is bound to.</summary>
    internal PassableDevice(DeviceFile device, FileDescriptor iommu)
    {
        _device = device;
        _space = iommu;
    }

    /// <summary>By which interface it is opened.</summary>
    internal VfioInterface Interface => _container is null ? VfioInterface.Cdev : VfioInterface.Group;

    /// <summary>The device's descriptor.</summary>
    internal FileDescriptor Device => _device.Descriptor;

    /// <summary>Its number in the iommufd; 0 in a container.</summary>
    internal uint Number => _device.IommufdNumber;

    /// <summary>The descriptor of its address space: a container, or an iommufd.</summary>
    internal FileDescriptor Space => _space;

    /// <summary>Adopts the descriptors in the other process.</summary>
    /// <param name="vfioInterface">By which interface it was opened.</param>
    /// <param name="device">The device; owned from here on, also when this throws.</param>
    /// <param name="space">Its address space; the same.</param>
    /// <param name="number">Its number in the iommufd.</param>
    /// <param name="name">A name, for messages.</param>
    /// <param name="made">The address space, to be disposed after the device.</param>
    /// <exception cref="VfioException">They are not what they should be, or the kernel refused.</exception>
    internal static KernelDevice Adopt(VfioInterface vfioInterface, FileDescriptor device, FileDescriptor space, uint number, string name, out DmaSpace made)
    {
        try
        {
            made = vfioInterface == VfioInterface.Group ? TypeOneSpace.Adopt(space) : new IommufdSpace(space);
        }
        catch
        {
            space.Dispose();
            device.Dispose();
            throw;
        }

        try
        {
            return KernelDevice.AdoptBound(device, made, name, vfioInterface == VfioInterface.Cdev ? number : null);
        }
        catch
        {
            made.Dispose();
            throw;
        }
    }

    /// <summary>Asks its user for it: raises the interrupt of release requests.</summary>
    /// <exception cref="VfioException">Nobody listens to it.</exception>
    internal void RequestBack() =>
        _device.SetIrqs(new vfio_irq_set { index = InterruptIndex.Request.Value, count = 1, flags = RaiseNow }, []);

    /// <summary>Stops what it does: DMA, and all else by a reset. Its user may start it again as long as the user has the descriptors.</summary>
    /// <exception cref="VfioException">It does not answer, or was never used.</exception>
    internal void Quiesce()
    {
        const uint BusMaster = 4;
        const ulong Command = 4;
        FirstRefusal steps = new();
        steps.Try(() =>
        {
            ulong place = new RegionTable(_device, RegionIndex.PciCount).Locate(RegionIndex.Config, Command, 2);
            Span<byte> bytes = stackalloc byte[2];
            if (_device.Read(place, bytes) != bytes.Length)
                throw VfioException.FromLastError("read of Command", _device.Name);
            bytes[0] &= unchecked((byte)~BusMaster);
            if (_device.Write(place, bytes) != bytes.Length)
                throw VfioException.FromLastError("write of Command", _device.Name);
        });
        steps.Try(() => _container?.Forget());
        steps.Try(_device.Reset);
        steps.ThrowIfAny();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _device.Dispose();
        _group?.Dispose();
        _container?.Dispose();
        _space.Dispose();
    }
}
