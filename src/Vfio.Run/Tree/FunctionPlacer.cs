using Vfio.Pci;
using Vfio.Run.Interface;

namespace Vfio.Run.Tree;

/// <summary>Gives devices the addresses and groups that nobody chose for them.</summary>
internal static class FunctionPlacer
{
    private const int MostBuses = 256;

    /// <summary>Places devices.</summary>
    /// <param name="devices">The devices.</param>
    /// <param name="ordinary">The machine's own functions, whose addresses and groups are theirs.</param>
    /// <exception cref="VfioException">EEXIST: a function of the machine has the address of one.</exception>
    /// <exception cref="ArgumentException">Two have one address, or there is no bus left.</exception>
    /// <remarks>A device with virtual functions is opened for a moment: its capability says where they are.</remarks>
    internal static ServedDevice[] Place(IReadOnlyList<RunDevice> devices, OrdinaryFunctions ordinary)
    {
        HashSet<PciAddress> taken = [.. ordinary.Addresses];
        foreach (PciAddress address in devices.Select(device => device.Address).OfType<PciAddress>())
        {
            if (ordinary.Addresses.Contains(address))
                throw new VfioException("placing a device", address.ToString(), Errno.Exists, "this machine has a function there: choose another address");
            if (!taken.Add(address))
                throw new ArgumentException($"two devices have the address {address}", nameof(devices));
        }

        HashSet<int> groups = [.. ordinary.Groups, .. devices.Select(device => device.Group).OfType<int>()];
        List<ServedDevice> placed = [];
        foreach (RunDevice device in devices)
        {
            PciAddress address = device.Address ?? FreeAddress(taken);
            placed.Add(new ServedDevice(address, device.Group ?? FreeGroup(groups), placed.Count, device.Open));
            VirtualPlaces? places = device.VirtualFunctions.Count > 0 ? VirtualPlaces.Read(device.Open) : null;
            for (int i = 0; i < device.VirtualFunctions.Count; i++)
            {
                PciAddress own = places!.Of(address, i);
                if (!taken.Add(own))
                    throw new ArgumentException($"virtual function {i} of {address} has the address {own}, which another device has", nameof(devices));

                // Devices without a chosen address get buses without any of these.
                taken.Add(own with { Device = 0, Function = 0 });
                placed.Add(new ServedDevice(own, FreeGroup(groups), placed.Count, device.VirtualFunctions[i]) { Physical = address });
            }
        }

        return [.. placed];
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
