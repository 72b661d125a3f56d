using Vfio.Kernel;
using Vfio.Pci;
using Vfio.Pci.Capabilities;
using Vfio.Pci.Dumps;
using Vfio.Pci.Names;

namespace Vfio.Cli.Show;

/// <summary>A function to be shown: its config space, and other facts about it.</summary>
/// <param name="Name">Its address, as the user gave it.</param>
/// <param name="Space">Config space, as much as can be read.</param>
/// <param name="Facts">Facts from its owner, which config space does not have.</param>
internal sealed record FunctionView(string Name, ConfigSpace Space, FunctionFacts Facts)
{
    /// <summary>Names for ids; an id without a name in the files of this machine stays a number.</summary>
    internal static PciIds Names { get; } = InstalledNames.Read();

    /// <summary>Whether it is a PCI function: otherwise it has no config space, and <see cref="Device"/> is all there is.</summary>
    internal bool IsPci { get; private init; } = true;

    /// <summary>Regions and interrupts, when the device is open to be assigned.</summary>
    internal DeviceFacts? Device { get; private init; }

    /// <summary>A function of this machine.</summary>
    internal static FunctionView Of(KernelFunction function) => new(function.Address.ToString(), function.ReadConfig(), new FunctionFacts
    {
        Address = function.Address,
        Names = Names,
        Regions = [.. function.Regions.Select(region => region.Length == 0 ? null : new RegionFact(region.Start, region.Length, region.Flags))],
        Interrupt = (uint)function.Irq,
        NumaNode = function.NumaNode,
        IommuGroup = function.IommuGroup,
        Driver = function.Driver,
    });

    /// <summary>A function of a dump.</summary>
    internal static FunctionView Of(DumpedFunction function) =>
        new(function.Address.ToString(), function.Space, new FunctionFacts { Address = function.Address, Names = Names });

    /// <summary>What an address names, as its user sees it.</summary>
    internal static FunctionView Open(string address, VfioDeviceOptions options)
    {
        DeviceAddress parsed = DeviceAddress.Parse(address);
        if (parsed is { Scheme: AddressScheme.Pci, IsGuarded: false })
            return Of(new PciTopology().Find(parsed.Function));
        using DeviceSource source = DeviceSource.Find(address, options);
        using IVfioDevice device = source.Open();
        return Of(device, source);
    }

    /// <summary>An open device.</summary>
    /// <param name="device">The device.</param>
    /// <param name="source">What opened it.</param>
    internal static FunctionView Of(IVfioDevice device, DeviceSource source)
    {
        string name = source.Address.Text;
        if (!device.Info.Flags.HasFlag(DeviceFlags.Pci))
            return new FunctionView(name, new ConfigSpace([]), FunctionFacts.None) { Device = DeviceFacts.Of(device, report: null), IsPci = false };

        byte[] bytes = new byte[device.GetRegion(RegionIndex.Config).Length];
        device.ReadRegion(RegionIndex.Config, 0, bytes);
        return new FunctionView(name, new ConfigSpace(bytes), new FunctionFacts { Names = Names })
        {
            Device = DeviceFacts.Of(device, source.Guard?.Check()),
        };
    }
}
