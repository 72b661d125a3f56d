using Vfio.Pci;

namespace Vfio.Kernel;

/// <summary>The PCI functions of this machine.</summary>
/// <param name="sysfs">Where sysfs is mounted.</param>
public sealed class PciTopology(string sysfs = "/sys")
{
    private readonly string _devices = Path.Combine(sysfs, "bus/pci/devices");

    /// <summary>All functions, by address. Empty on a machine without PCI.</summary>
    public IReadOnlyList<KernelFunction> Functions =>
        Directory.Exists(_devices) ? [.. AddressesIn(_devices).Select(At)] : [];

    /// <summary>The function at an address.</summary>
    /// <exception cref="VfioException">ENODEV: none is there.</exception>
    public KernelFunction Find(PciAddress address) => Directory.Exists(FolderOf(address))
        ? At(address)
        : throw new VfioException("open", address.ToString(), Errno.NoDevice, "list the functions that are here with 'vfio ls'");

    internal static IReadOnlyList<PciAddress> AddressesIn(string folder) =>
    [
        .. Directory.EnumerateFileSystemEntries(folder)
            .Select(path => PciAddress.TryParse(Path.GetFileName(path), out PciAddress address) ? address : (PciAddress?)null)
            .OfType<PciAddress>()
            .OrderBy(address => (address.Domain, address.Bus, address.Device, address.Function)),
    ];

    private KernelFunction At(PciAddress address) => new(FolderOf(address), address);

    private string FolderOf(PciAddress address) => Path.Combine(_devices, address.ToString());
}
