using Vfio.Pci;

namespace Vfio.Run.Interface;

/// <summary>A device of one run, bound to vfio-pci, as the kernel's interface names it.</summary>
/// <param name="Address">Its address, which programs ask a group for.</param>
/// <param name="Group">The number of its group: <c>/dev/vfio/1</c>. Devices with the same number are in one group.</param>
/// <param name="Number">The number of its own file: <c>/dev/vfio/devices/vfio0</c>.</param>
/// <param name="Open">Opens it, and resets it; one user at a time. Called when a program opens the device; what it returns is disposed when the
/// last one closes it.</param>
internal sealed record ServedDevice(PciAddress Address, int Group, int Number, Func<IVfioDevice> Open)
{
    /// <summary>The address of its physical function, when it is a virtual one.</summary>
    internal PciAddress? Physical { get; init; }
}
