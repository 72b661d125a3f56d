using Vfio.Native;
using Vfio.Native.Kernel;

namespace Vfio.Run.Interface;

/// <summary>The open file of a device, from its group or of its own: <c>drivers/vfio/vfio_main.c</c>, <c>device_cdev.c</c> and
/// <c>pci/vfio_pci_core.c</c>.</summary>
internal sealed class ServedDevice : ServedFile
{
    private readonly MachineFunction _function;
    private readonly ServedGroup? _group;

    // What the file may reach: nothing before its own file is bound to an iommufd.
    private volatile OpenDevice? _device;

    private ServedDevice(MachineFunction function, ServedGroup? group, OpenDevice? device) =>
        (_function, _group, _device) = (function, group, device);

    /// <summary>The file that a group gives.</summary>
    /// <param name="device">The device, counted as open once more.</param>
    /// <param name="group">The group's file, with a reference and counted device for this one.</param>
    internal static ServedDevice OfGroup(OpenDevice device, ServedGroup group) => new(device.Function, group, device);

    /// <summary>A function's own file; any number of programs may have it open, and one may bind it.</summary>
    internal static ServedDevice OfCdev(MachineFunction function) => new(function, null, null);

    /// <inheritdoc/>
    protected override long OnIoctl(ICaller caller, uint request, ulong argument)
    {
        if (_device is not OpenDevice device)
            return Answer.Of(Errno.InvalidArgument);
        switch ((KernelRequest)request)
        {
            case KernelRequest.VFIO_DEVICE_GET_INFO:
                return device.Regions.DescribeDevice(caller, argument);
            case KernelRequest.VFIO_DEVICE_GET_REGION_INFO:
                return device.Regions.DescribeRegion(caller, argument);
            case KernelRequest.VFIO_DEVICE_GET_IRQ_INFO:
                return device.Interrupts.Describe(caller, argument);
            case KernelRequest.VFIO_DEVICE_SET_IRQS:
                return device.Interrupts.Set(caller, argument);
            case KernelRequest.VFIO_DEVICE_RESET:
                return Answer.Of(device.Reset());
            default:
                return Answer.Of(Errno.NoSuchOperation);
        }
    }

    /// <inheritdoc/>
    protected override long OnRead(ICaller caller, ulong offset, ulong address, ulong count) =>
        _device?.Regions.Read(caller, offset, address, count) ?? Answer.Of(Errno.InvalidArgument);

    /// <inheritdoc/>
    protected override long OnWrite(ICaller caller, ulong offset, ulong address, ulong count) =>
        _device?.Regions.Write(caller, offset, address, count) ?? Answer.Of(Errno.InvalidArgument);

    /// <inheritdoc/>
    protected override ServedMapping OnMap(ulong offset, ulong length, bool isWritable) =>
        _device?.Regions.Map(offset, length) ?? ServedMapping.Refused(Errno.InvalidArgument);

    /// <inheritdoc/>
    protected override void OnClose()
    {
        if (_group is not null)
            _group.CloseDevice(_function);
    }
}
