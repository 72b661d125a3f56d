using Vfio.Pci;

namespace Vfio.Run.Tree;

/// <summary>Where the virtual functions of a function are: First VF Offset and VF Stride of its SR-IOV capability.</summary>
/// <remarks>PCI Express Base 6.0, section 9.3.3.9: routing ids, which count from the physical function's on.</remarks>
/// <param name="Offset">From the function's to the first one's.</param>
/// <param name="Stride">From one to the next.</param>
/// <param name="Total">How many there can be.</param>
/// <param name="Device">Their device id.</param>
internal sealed record VirtualPlaces(int Offset, int Stride, int Total, int Device)
{
    private const ushort SrIov = 0x10;
    private const int TotalAt = 0x0e, OffsetAt = 0x14, StrideAt = 0x16, DeviceAt = 0x1a, RoutingIds = 1 << 16;

    /// <summary>Looks at a function.</summary>
    /// <param name="open">Opens it.</param>
    /// <exception cref="VfioException">It cannot be opened; ENODEV: it has no such capability.</exception>
    internal static VirtualPlaces Read(Func<IVfioDevice> open)
    {
        using IVfioDevice device = open();
        return Find(new ConfigSpace(FunctionFacts.ReadConfig(device)))
            ?? throw new VfioException("placing virtual functions", device.Name, Errno.NoDevice, "it has no SR-IOV capability");
    }

    /// <summary>What config space says; null when it says nothing.</summary>
    internal static VirtualPlaces? Find(ConfigSpace config) =>
        CapabilityList.Read(config).Find(SrIov, isExtended: true) is { } found
        ? new(
            config.Read16(found.Offset + OffsetAt), config.Read16(found.Offset + StrideAt), config.Read16(found.Offset + TotalAt),
            config.Read16(found.Offset + DeviceAt))
        : null;

    /// <summary>The address of a virtual function.</summary>
    /// <param name="physical">That of the physical one.</param>
    /// <param name="number">Its number, from 0.</param>
    /// <exception cref="ArgumentException">It is beyond the last bus.</exception>
    internal PciAddress Of(PciAddress physical, int number)
    {
        int id = (physical.Bus << 8 | physical.Device << 3 | physical.Function) + Offset + (number * Stride);
        if (id >= RoutingIds)
            throw new ArgumentException($"virtual function {number} of {physical} would be beyond the last bus: choose another address for it", nameof(physical));
        return new PciAddress(physical.Domain, (byte)(id >> 8), (byte)(id >> 3 & 0x1f), (byte)(id & 7));
    }
}
