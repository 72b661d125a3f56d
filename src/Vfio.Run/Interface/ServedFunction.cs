using Vfio.Pci;

namespace Vfio.Run.Interface;

/// <summary>A function of a <see cref="ServedMachine"/>, bound to vfio-pci there.</summary>
/// <param name="Address">Its address in the machine; no two are the same.</param>
/// <param name="Group">The number of its IOMMU group: <c>/dev/vfio/GROUP</c>. Functions may share one.</param>
/// <param name="Index">The number of its own file: <c>/dev/vfio/devices/vfioINDEX</c>; no two are the same.</param>
/// <param name="Open">Opens the device behind it. Called when a program opens it, never while it is open; the device is disposed when the
/// program closes it.</param>
internal sealed record ServedFunction(PciAddress Address, int Group, int Index, Func<IVfioDevice> Open);
