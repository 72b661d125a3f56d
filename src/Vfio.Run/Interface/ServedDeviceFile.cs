using Vfio.Native;
using Vfio.Native.Kernel;
using Vfio.Native.Memory;

namespace Vfio.Run.Interface;

/// <summary>The open file of a device, from its group or of its own: <c>drivers/vfio/vfio_main.c</c>, <c>device_cdev.c</c> and
/// <c>pci/vfio_pci_core.c</c>.</summary>
internal sealed class ServedDeviceFile : ServedFile
{
    private readonly MachineFunction _function;
    private readonly ServedGroup? _group;

    // What the file may reach: nothing before its own file is bound to an iommufd.
    private volatile OpenDevice? _device;

    private ServedDeviceFile(MachineFunction function, ServedGroup? group, OpenDevice? device) =>
        (_function, _group, _device) = (function, group, device);

    /// <summary>The file that a group gives.</summary>
    /// <param name="device">The device, counted as open once more.</param>
    /// <param name="group">The group's file, with a reference and counted device for this one.</param>
    internal static ServedDeviceFile OfGroup(OpenDevice device, ServedGroup group) => new(device.Function, group, device);

    /// <summary>A function's own file; any number of programs may have it open, and one may bind it.</summary>
    internal static ServedDeviceFile OfCdev(MachineFunction function) => new(function, null, null);

    /// <inheritdoc/>
    protected override long OnIoctl(ICaller caller, uint request, ulong argument)
    {
        if ((KernelRequest)request == KernelRequest.VFIO_DEVICE_BIND_IOMMUFD)
            return Bind(caller, argument);
        if (_device is not OpenDevice device)
            return Answer.Of(Errno.InvalidArgument);
        device.Power.Wake();
        return (KernelRequest)request switch
        {
            KernelRequest.VFIO_DEVICE_ATTACH_IOMMUFD_PT when _group is null => Attach(caller, argument, device),
            KernelRequest.VFIO_DEVICE_DETACH_IOMMUFD_PT when _group is null => Answer.Of(Detach(caller, argument, device)),
            KernelRequest.VFIO_DEVICE_GET_INFO => device.Regions.DescribeDevice(caller, argument),
            KernelRequest.VFIO_DEVICE_GET_REGION_INFO => device.Regions.DescribeRegion(caller, argument),
            KernelRequest.VFIO_DEVICE_GET_IRQ_INFO => device.Interrupts.Describe(caller, argument),
            KernelRequest.VFIO_DEVICE_SET_IRQS => device.Interrupts.Set(caller, argument),
            KernelRequest.VFIO_DEVICE_FEATURE => device.Features.Ioctl(caller, argument),
            KernelRequest.VFIO_DEVICE_RESET => Answer.Of(device.Reset()),
            KernelRequest.VFIO_DEVICE_GET_PCI_HOT_RESET_INFO => HotReset.Describe(caller, argument, device, isCdev: _group is null),
            KernelRequest.VFIO_DEVICE_PCI_HOT_RESET => Answer.Of(HotReset.Execute(caller, argument, device, isCdev: _group is null)),
            _ => Answer.Of(Errno.NoSuchOperation),
        };
    }

    /// <inheritdoc/>
    protected override long OnRead(ICaller caller, ulong offset, ulong address, ulong count)
    {
        if (_device is not OpenDevice device)
            return Answer.Of(Errno.InvalidArgument);
        device.Power.Wake();
        return device.Regions.Read(caller, offset, address, count);
    }

    /// <inheritdoc/>
    protected override long OnWrite(ICaller caller, ulong offset, ulong address, ulong count)
    {
        if (_device is not OpenDevice device)
            return Answer.Of(Errno.InvalidArgument);
        device.Power.Wake();
        return device.Regions.Write(caller, offset, address, count);
    }

    /// <inheritdoc/>
    protected override ServedMapping OnMap(ulong offset, ulong length, bool isWritable) =>
        _device?.Regions.Map(offset, length) ?? ServedMapping.Refused(Errno.InvalidArgument);

    /// <inheritdoc/>
    protected override void OnClose()
    {
        if (_group is not null)
            _group.CloseDevice(_function);
        else if (_device is OpenDevice bound)
            Unbind(bound);
    }

    private long Bind(ICaller caller, ulong argument)
    {
        const uint HasToken = 1;
        if (!caller.TryRead(argument, out uint size))
            return Answer.Of(Errno.BadAddress);
        if (size < Blittable.SizeOf<vfio_device_bind_iommufd>())
            return Answer.Of(Errno.InvalidArgument);
        Errno error = caller.ReadStruct(argument, size, out BindWithToken bind);
        if (error == Errno.None && (bind.Bind.iommufd < 0 || (bind.Bind.flags & ~HasToken) != 0 || _group is not null))
            error = Errno.InvalidArgument;
        if (error != Errno.None)
            return Answer.Of(error);
        ServedFile? file = caller.FileOf(bind.Bind.iommufd);
        using FileDescriptor? other = file is null ? caller.CopyDescriptor(bind.Bind.iommufd) : null;
        lock (_function.Group.Machine.Lock)
        {
            if (_function.Group.IsOpen)
                return Answer.Of(Errno.Busy);

            // No function here shares a token with another.
            if (_device is not null || (bind.Bind.flags & HasToken) != 0)
                return Answer.Of(Errno.InvalidArgument);
            if (file is not ServedIommu iommu)
                return Answer.Of(file is null && other is null ? Errno.BadDescriptor : Errno.BadDescriptorKind);
            return Bind(caller, argument, bind.Bind, iommu);
        }
    }

    private long Bind(ICaller caller, ulong argument, vfio_device_bind_iommufd bind, ServedIommu iommu)
    {
        if (_function.Device is not null)
            return Answer.Of(Errno.InvalidArgument);
        if (_function.Group.Functions.Exists(function => function.Device is { Bound: { } bound } && bound.Iommu != iommu))
            return Answer.Of(Errno.OperationNotPermitted);
        if (!iommu.TryAddReference())
            return Answer.Of(Errno.BadDescriptor);
        long result = Answer.Of(Errno.InputOutput);
        OpenDevice? opened = null;
        try
        {
            opened = _function.Open(null);
            result = Answer.Of(iommu.Bind(opened, attachesVfioSpace: false));
            if (result == 0)
            {
                bind.out_devid = opened.Bound!.Value.Number.Id;
                result = caller.Answer(argument, bind);
            }

            if (result != 0)
                return result;
            _function.Group.CdevOpens++;
            _device = opened;
            return 0;
        }
        finally
        {
            if (_device is null)
            {
                if (opened is not null)
                    _function.Close();
                iommu.Release();
            }
        }
    }

    private void Unbind(OpenDevice bound)
    {
        ServedIommu iommu = bound.Bound!.Value.Iommu;
        lock (_function.Group.Machine.Lock)
        {
            _function.Close();
            _function.Group.CdevOpens--;
        }

        iommu.Release();
    }

    private static long Attach(ICaller caller, ulong argument, OpenDevice device)
    {
        const int LeastBytes = 12;
        if (!caller.TryRead(argument, LeastBytes, out vfio_device_attach_iommufd_pt attach))
            return Answer.Of(Errno.BadAddress);

        // A page table that has process address spaces is none of this IOMMU.
        if (attach.argsz < LeastBytes || attach.flags != 0)
            return Answer.Of(Errno.InvalidArgument);
        (ServedIommu iommu, IommuDevice number) = device.Bound!.Value;
        bool wasAttached = number.Table is not null;
        Errno error = iommu.Attach(number, ref attach.pt_id);
        if (error != Errno.None)
            return Answer.Of(error);
        long result = caller.Answer(argument, attach, LeastBytes);
        if (result != 0 && !wasAttached)
            iommu.Detach(number);
        return result;
    }

    private static Errno Detach(ICaller caller, ulong argument, OpenDevice device)
    {
        const uint HasPasid = 1;
        const int LeastBytes = 8;
        if (!caller.TryRead(argument, LeastBytes, out vfio_device_detach_iommufd_pt detach))
            return Errno.BadAddress;
        bool hasPasid = (detach.flags & HasPasid) != 0;
        if (detach.argsz < LeastBytes || (detach.flags & ~HasPasid) != 0
            || (hasPasid && detach.argsz < Blittable.SizeOf<vfio_device_detach_iommufd_pt>()))
        {
            return Errno.InvalidArgument;
        }

        // No process address space is attached, and to detach what is not attached is no error.
        if (!hasPasid)
            device.Bound!.Value.Iommu.Detach(device.Bound.Value.Number);
        return Errno.None;
    }

    /// <summary>VFIO_DEVICE_BIND_IOMMUFD as it has been since Linux 6.17.</summary>
    private readonly record struct BindWithToken(vfio_device_bind_iommufd Bind, ulong Token);
}
