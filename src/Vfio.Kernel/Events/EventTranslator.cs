using System.Globalization;
using Vfio.Pci;

namespace Vfio.Kernel.Events;

/// <summary>Makes events of the kernel's messages, and adds what these lack: the driver that was unbound, the number of virtual
/// functions.</summary>
/// <remarks>Used by one thread.</remarks>
internal sealed class EventTranslator
{
    /// <summary>The key of a release request; its value is the time in seconds that the user has.</summary>
    internal const string ReturnKey = "RETURNWITHIN";

    /// <summary>The value for a release request without a limit. The kernel passes letters and digits only.</summary>
    internal const string NoLimit = "never";

    private readonly PciTopology _topology;
    private readonly Dictionary<PciAddress, string?> _drivers = [];
    private readonly Dictionary<PciAddress, int> _virtualFunctions = [];

    internal EventTranslator(PciTopology topology)
    {
        _topology = topology;
        foreach (KernelFunction function in topology.Functions)
        {
            _drivers[function.Address] = function.Driver;
            _virtualFunctions[function.Address] = CountOf(function.Address);
        }
    }

    /// <summary>Translates.</summary>
    /// <returns>Null for a message that is not about a PCI function.</returns>
    internal DeviceEvent? Translate(Uevent uevent)
    {
        if (uevent["SUBSYSTEM"] != "pci" || uevent["PCI_SLOT_NAME"] is not { } name || !PciAddress.TryParse(name, out PciAddress address))
            return null;
        switch (uevent.Action)
        {
            case "add":
                return new DeviceEvent(DeviceEventKind.Added, name);
            case "remove":
                _drivers.Remove(address);
                _virtualFunctions.Remove(address);
                return new DeviceEvent(DeviceEventKind.Removed, name);
            case "bind":
                string? driver = uevent["DRIVER"];
                _drivers[address] = driver;
                return new DeviceEvent(DeviceEventKind.Bound, name) { Driver = driver };
            case "unbind":
                _drivers.Remove(address, out string? former);
                return new DeviceEvent(DeviceEventKind.Unbound, name) { Driver = former };
            case "change":
                return Change(uevent, address);
            default:
                return new DeviceEvent(DeviceEventKind.Changed, name) { Detail = uevent.Action };
        }
    }

    private DeviceEvent Change(Uevent uevent, PciAddress address)
    {
        string name = address.ToString();
        if (uevent["ERROR_EVENT"] is { } error)
            return new DeviceEvent(DeviceEventKind.Error, name) { Detail = error };
        if (uevent["SYNTH_ARG_" + ReturnKey] is { } seconds)
        {
            if (seconds == NoLimit)
                return new DeviceEvent(DeviceEventKind.ReleaseRequested, name);
            if (int.TryParse(seconds, CultureInfo.InvariantCulture, out int within))
                return new DeviceEvent(DeviceEventKind.ReleaseRequested, name) { Within = TimeSpan.FromSeconds(within) };
        }

        int count = CountOf(address);
        if (count == _virtualFunctions.GetValueOrDefault(address))
            return new DeviceEvent(DeviceEventKind.Changed, name);
        _virtualFunctions[address] = count;
        return new DeviceEvent(DeviceEventKind.VirtualFunctionsChanged, name) { VirtualFunctions = count };
    }

    /// <summary>Number of virtual functions. The kernel answers after a change in progress.</summary>
    private int CountOf(PciAddress address)
    {
        try
        {
            return _topology.Find(address).EnabledVirtualFunctions;
        }
        catch (VfioException)
        {
            // It is gone by now; its removal is an event of its own.
            return 0;
        }
    }
}
