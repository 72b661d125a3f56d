using Vfio.Pci;
using Vfio.Run.Interface;

namespace Vfio.Run.Tree;

/// <summary>What sysfs shows of a function: its config space and its regions, looked at once before the program starts.</summary>
/// <param name="Function">The function.</param>
/// <param name="Config">Its config space, with the addresses of its BARs in it.</param>
/// <param name="Regions">Its BARs and its ROM, with addresses.</param>
/// <param name="CanReset">Whether it can be reset.</param>
internal sealed record FunctionFacts(ServedDevice Function, ConfigSpace Config, IReadOnlyList<BarAddress> Regions, bool CanReset)
{
    private const int CommandOffset = 0x04, FirstBarOffset = 0x10;
    private const byte MemoryEnabled = 2;

    /// <summary>Its place.</summary>
    internal PciAddress Address => Function.Address;

    /// <summary>Reads all of config space.</summary>
    internal static byte[] ReadConfig(IVfioDevice device)
    {
        byte[] config = new byte[(int)Math.Min(device.GetRegion(RegionIndex.Config).Length, ConfigSpace.ExtendedLength)];
        device.ReadRegion(RegionIndex.Config, 0, config);
        return config;
    }

    /// <summary>Opens the function, looks at it, and closes it.</summary>
    /// <param name="function">The function.</param>
    /// <param name="allocator">Gives addresses to its BARs.</param>
    /// <exception cref="VfioException">It cannot be opened; ENODEV: it is no PCI function.</exception>
    internal static FunctionFacts Read(ServedDevice function, BarAllocator allocator)
    {
        using IVfioDevice device = function.Open();
        if ((device.Info.Flags & DeviceFlags.Platform) != 0)
        {
            throw new VfioException(
                "placing a device", device.Name, Errno.NoDevice, "it is a platform device, and programs are run with PCI functions only: leave it out, or give one, as model:edu");
        }

        byte[] config = ReadConfig(device);
        List<BarAddress> regions = [];
        for (int i = 0; i <= RegionIndex.Rom.Value; i++)
        {
            ulong length = device.GetRegion(new RegionIndex((uint)i)).Length;
            Span<byte> register = config.AsSpan(FirstBarOffset + (4 * i));
            regions.Add(i < RegionIndex.Rom.Value ? allocator.PlaceBar(register, length) : allocator.PlaceRom(length));
        }

        config[CommandOffset] |= MemoryEnabled;
        return new FunctionFacts(function, new ConfigSpace(config), regions, device.Info.CanReset);
    }
}
