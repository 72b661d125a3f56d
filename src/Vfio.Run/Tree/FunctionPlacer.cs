using Vfio.Pci;
using Vfio.Run.Interface;

namespace Vfio.Run.Tree;

/// <summary>Gives devices the addresses and groups that nobody chose for them.</summary>
internal static class FunctionPlacer
{
    private const int MostBuses = 256;

    /// <summary>Places devices.</summary>
    /// <exception cref="ArgumentException">Two have one address, or there is no bus left.</exception>
    internal static ServedDevice[] Place(IReadOnlyList<RunDevice> devices)
    {
        HashSet<PciAddress> taken = [];
        foreach (PciAddress address in devices.Select(device => device.Address).OfType<PciAddress>())
        {
            if (!taken.Add(address))
                throw new ArgumentException($"two devices have the address {address}", nameof(devices));
        }

        HashSet<int> groups = [.. devices.Select(device => device.Group).OfType<int>()];
        return
        [
            .. devices.Select((device, index) => new ServedDevice(
                device.Address ?? FreeAddress(taken), device.Group ?? FreeGroup(groups), index, device.Open)),
        ];
    }

    private static PciAddress FreeAddress(HashSet<PciAddress> taken)
    {
        for (int bus = 1; bus < MostBuses; bus++)
        {
            PciAddress address = new(0, (byte)bus, 0, 0);
            if (taken.Add(address))
                return address;
        }

        throw new ArgumentException("no bus is left for another device", nameof(taken));
    }

    private static int FreeGroup(HashSet<int> taken)
    {
        for (int group = 1; ; group++)
        {
            if (taken.Add(group))
                return group;
        }
    }
}
