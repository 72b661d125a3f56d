namespace Vfio.Abstractions;

/// <summary>A device that tells of its own accesses to memory that were refused, as an IOMMU logs them. Asked for with
/// <see cref="IVfioDevice.TryGet"/>.</summary>
internal interface IDmaFaultSource
{
    /// <summary>Raised by the thread that made the access. A handler takes no lock under which it maps, unmaps or resets the device.</summary>
    event Action<DmaFault>? DmaFaulted;
}

/// <summary>An access of a device to memory that was refused.</summary>
/// <param name="Address">Its first address.</param>
/// <param name="Length">How many bytes.</param>
/// <param name="IsWrite">Whether it wrote.</param>
/// <param name="Error">EPERM: the device may not master the bus; otherwise it is not all mapped, or not so.</param>
internal readonly record struct DmaFault(Iova Address, int Length, bool IsWrite, Errno Error);
