using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Vfio.Native.Interop;
using Vfio.Native.Memory;

namespace Vfio.Native.Kernel;

/// <summary>A device's descriptor, from its group or from <c>/dev/vfio/devices</c>. One method for each ioctl.</summary>
internal sealed unsafe partial class DeviceFile(FileDescriptor descriptor, string name) : KernelFile(descriptor, name)
{
    private const uint PasidIsMeant = 1;

    /// <summary>The device's number in iommufd, once it is bound.</summary>
    internal uint IommufdNumber { get; private set; }

    /// <summary>Whether it is bound to an iommufd.</summary>
    internal bool IsBound { get; private set; }

    /// <summary>Says that who passed it here has bound it.</summary>
    /// <param name="number">Its number in the iommufd.</param>
    internal void TakeBound(uint number) => (IommufdNumber, IsBound) = (number, true);

    /// <summary>VFIO_DEVICE_GET_INFO.</summary>
    internal vfio_device_info GetInfo()
    {
        // SAFETY: the kernel writes at most argsz bytes, and info outlives the call.
        vfio_device_info info = new() { argsz = (uint)sizeof(vfio_device_info) };
        Call(KernelRequest.VFIO_DEVICE_GET_INFO, &info);
        return info;
    }

    /// <summary>VFIO_DEVICE_GET_REGION_INFO: the struct, and the capabilities that follow it.</summary>
    /// <returns>Size 0 when the device has no such region: the kernel then answers so, or EINVAL for a VGA region.</returns>
    internal byte[] GetRegionInfo(uint index) => InfoBuffer.Ask(
        bytes =>
        {
            // SAFETY: the kernel writes at most argsz bytes, which is the length of the pinned buffer.
            fixed (byte* info = bytes)
            {
                if (TryCall(KernelRequest.VFIO_DEVICE_GET_REGION_INFO, info) < 0 && (Errno)Marshal.GetLastPInvokeError() != Errno.InvalidArgument)
                    throw VfioException.FromLastError("VFIO_DEVICE_GET_REGION_INFO", Name);
            }
        },
        new vfio_region_info { index = index });

    /// <summary>VFIO_DEVICE_GET_IRQ_INFO.</summary>
    /// <returns>Count 0 when the device has no such interrupt: the kernel then answers EINVAL.</returns>
    internal vfio_irq_info GetIrqInfo(uint index)
    {
        // SAFETY: the kernel writes at most argsz bytes, and info outlives the call.
        vfio_irq_info info = new() { argsz = (uint)sizeof(vfio_irq_info), index = index };
        if (TryCall(KernelRequest.VFIO_DEVICE_GET_IRQ_INFO, &info) >= 0)
            return info;
        return (Errno)Marshal.GetLastPInvokeError() == Errno.InvalidArgument
            ? new vfio_irq_info { index = index }
            : throw VfioException.FromLastError("VFIO_DEVICE_GET_IRQ_INFO", Name);
    }

    /// <summary>VFIO_DEVICE_SET_IRQS.</summary>
    /// <param name="set">What to do; <c>argsz</c> is filled here.</param>
    /// <param name="data">A byte or a descriptor for each vector, as the flags say.</param>
    internal void SetIrqs(vfio_irq_set set, ReadOnlySpan<byte> data) => CallWithData(KernelRequest.VFIO_DEVICE_SET_IRQS, set, data);

    /// <summary>VFIO_DEVICE_RESET.</summary>
    internal void Reset() => Call(KernelRequest.VFIO_DEVICE_RESET, null);

    /// <summary>VFIO_DEVICE_GET_PCI_HOT_RESET_INFO: which functions a reset of the bus or slot resets.</summary>
    internal vfio_pci_dependent_device[] GetPciHotResetInfo()
    {
        vfio_pci_hot_reset_info head = new() { argsz = (uint)sizeof(vfio_pci_hot_reset_info) };
        // SAFETY: the kernel writes at most argsz bytes; with space for no function it returns ENOSPC and how many there are.
        if (TryCall(KernelRequest.VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &head) >= 0)
            return [];
        if ((Errno)Marshal.GetLastPInvokeError() != Errno.NoSpace)
            throw VfioException.FromLastError("VFIO_DEVICE_GET_PCI_HOT_RESET_INFO", Name);
        byte[] bytes = new byte[sizeof(vfio_pci_hot_reset_info) + (head.count * sizeof(vfio_pci_dependent_device))];
        Blittable.Write(bytes, new vfio_pci_hot_reset_info { argsz = (uint)bytes.Length });
        fixed (byte* info = bytes)
            Call(KernelRequest.VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info);
        uint count = Math.Min(Blittable.Read<vfio_pci_hot_reset_info>(bytes).count, head.count);
        return MemoryMarshal.Cast<byte, vfio_pci_dependent_device>(bytes.AsSpan(sizeof(vfio_pci_hot_reset_info)))[..(int)count].ToArray();
    }

    /// <summary>VFIO_DEVICE_PCI_HOT_RESET.</summary>
    /// <param name="groups">Proof that the caller owns every function that is reset; empty when the device came from its own file.</param>
    internal void PciHotReset(ReadOnlySpan<int> groups) =>
        CallWithData(KernelRequest.VFIO_DEVICE_PCI_HOT_RESET, new vfio_pci_hot_reset { count = (uint)groups.Length }, MemoryMarshal.AsBytes(groups));

    /// <summary>VFIO_DEVICE_FEATURE.</summary>
    /// <param name="feature">Which feature, and whether to get, set or probe it.</param>
    /// <param name="data">What it needs; the kernel's answer where it gives one.</param>
    internal void Feature(uint feature, Span<byte> data)
    {
        byte[] bytes = WithData(new vfio_device_feature { flags = feature }, data);
        fixed (byte* argument = bytes)
            Call(KernelRequest.VFIO_DEVICE_FEATURE, argument);
        bytes.AsSpan(sizeof(vfio_device_feature)).CopyTo(data);
    }

    /// <summary>VFIO_DEVICE_BIND_IOMMUFD: takes the device, which came from its own file.</summary>
    internal void BindIommufd(IommuFile iommu)
    {
        // SAFETY: the kernel writes at most argsz bytes, and bind outlives the call.
        vfio_device_bind_iommufd bind = new() { argsz = (uint)sizeof(vfio_device_bind_iommufd), iommufd = iommu.Descriptor.Number };
        Call(KernelRequest.VFIO_DEVICE_BIND_IOMMUFD, &bind);
        TakeBound(bind.out_devid);
    }

    /// <summary>VFIO_DEVICE_ATTACH_IOMMUFD_PT: lets the device see an I/O address space.</summary>
    /// <param name="pageTable">The I/O address space, or a page table made for it.</param>
    /// <param name="pasid">Which of the device's process address spaces; null for what it reaches without one.</param>
    internal void AttachIommufd(uint pageTable, uint? pasid = null)
    {
        // SAFETY: the kernel writes at most argsz bytes, and attach outlives the call.
        vfio_device_attach_iommufd_pt attach = new()
        {
            argsz = (uint)sizeof(vfio_device_attach_iommufd_pt),
            flags = pasid is null ? 0 : PasidIsMeant,
            pt_id = pageTable,
            pasid = pasid ?? 0,
        };
        Call(KernelRequest.VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
    }

    /// <summary>VFIO_DEVICE_DETACH_IOMMUFD_PT, of a process address space.</summary>
    internal void DetachIommufd(uint pasid)
    {
        // SAFETY: the kernel reads at most argsz bytes, and detach outlives the call.
        vfio_device_detach_iommufd_pt detach = new()
        {
            argsz = (uint)sizeof(vfio_device_detach_iommufd_pt),
            flags = PasidIsMeant,
            pasid = pasid,
        };
        Call(KernelRequest.VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach);
    }

    /// <summary>Reads a region.</summary>
    /// <param name="offset">Where in the file.</param>
    /// <param name="destination">Filled as far as the kernel reads.</param>
    /// <returns>How many bytes; -1 with the errno set when it refused.</returns>
    internal int Read(ulong offset, Span<byte> destination)
    {
        fixed (byte* to = destination)
            return (int)LibC.pread(Descriptor.Number, to, (nuint)destination.Length, (long)offset);
    }

    /// <summary>Writes a region.</summary>
    /// <param name="offset">Where in the file.</param>
    /// <param name="source">The bytes.</param>
    /// <returns>How many bytes the kernel took; -1 with the errno set when it refused.</returns>
    internal int Write(ulong offset, ReadOnlySpan<byte> source)
    {
        fixed (byte* from = source)
            return (int)LibC.pwrite(Descriptor.Number, from, (nuint)source.Length, (long)offset);
    }

    private static byte[] WithData<T>(in T head, ReadOnlySpan<byte> data)
        where T : unmanaged
    {
        byte[] bytes = new byte[sizeof(T) + data.Length];
        Blittable.Write(bytes, head);
        Blittable.Write(bytes, (uint)bytes.Length); // argsz is the first field of each
        data.CopyTo(bytes.AsSpan(sizeof(T)));
        return bytes;
    }

    private void CallWithData<T>(
        KernelRequest request, in T head, ReadOnlySpan<byte> data, [CallerArgumentExpression(nameof(request))] string operation = "")
        where T : unmanaged
    {
        // SAFETY: the kernel reads argsz bytes, which is the length of the pinned buffer.
        fixed (byte* argument = WithData(head, data))
            Call(request, argument, operation);
    }
}
