using System.Globalization;
using Vfio.Native.Files;
using Vfio.Pci;
using Vfio.Run.Interface;

namespace Vfio.Run.Tree;

/// <summary>What sysfs shows of the functions of a run: each in its IOMMU group, bound to vfio-pci or to no driver.</summary>
/// <remarks>Documentation/ABI/testing/sysfs-bus-pci, sysfs-kernel-iommu_groups and sysfs-devices-vfio-dev of the kernel.</remarks>
internal static class SysfsFiles
{
    /// <summary>The bus.</summary>
    internal const string Bus = "/sys/bus/pci";

    /// <summary>The only driver.</summary>
    internal const string Driver = Bus + "/drivers/" + DriverName;

    /// <summary>Its name.</summary>
    internal const string DriverName = "vfio-pci";

    // driverctl asks for the module by the driver's name, and loads it where there is none.
    private const string DriverModule = Modules + "/" + DriverName;
    /// <summary>Modules of the kernel.</summary>
    internal const string Modules = "/sys/module";

    /// <summary>IOMMU groups.</summary>
    internal const string Groups = "/sys/kernel/iommu_groups";

    private const string CdevClass = "/sys/class/vfio-dev", GroupClass = "/sys/class/vfio";
    private const string GroupDevices = "/sys/devices/virtual/vfio";

    // BARs, the ROM, and what virtual functions and bridges have.
    private const int ResourceLines = 13;

    private static readonly string[] LoadedModules = ["vfio", "vfio_pci", "vfio_pci_core", "vfio_iommu_type1", "iommufd"];

    /// <summary>Paths that are ours with all that is below them.</summary>
    internal static IEnumerable<string> Roots(IReadOnlyList<FunctionFacts> functions) =>
    [
        Bus, Groups, CdevClass, GroupClass, GroupDevices, DriverModule,
        .. LoadedModules.Select(module => $"{Modules}/{module}"),
        .. functions.Select(facts => RootOf(facts.Address)).Distinct(),
    ];

    /// <summary>Makes the files.</summary>
    internal static void Write(TreeWriter writer, IReadOnlyList<FunctionFacts> functions)
    {
        writer.Folder(Bus + "/devices");
        writer.Folder(Bus + "/slots");
        writer.Folder(Groups);
        writer.Text(Bus + "/drivers_autoprobe", "1", isSettable: true);
        foreach (string action in (string[])["drivers_probe", "rescan"])
            writer.Bytes($"{Bus}/{action}", [], isSettable: true);
        foreach (string action in (string[])["bind", "unbind", "new_id", "remove_id"])
            writer.Bytes($"{Driver}/{action}", [], isSettable: true);
        foreach (string module in Directory.Exists(Modules) ? Directory.GetDirectories(Modules).Where(path => path != DriverModule) : [])
            writer.Folder(module);
        writer.Link(Driver + "/module", Modules + "/vfio_pci");
        writer.Link(DriverModule, Modules + "/vfio_pci");
        foreach (string module in LoadedModules)
        {
            writer.Text($"{Modules}/{module}/initstate", "live");
            writer.Text($"{Modules}/{module}/refcnt", "0");
        }

        writer.Text(Modules + "/vfio_iommu_type1/parameters/dma_entry_limit", "65535");
        writer.Text(Modules + "/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "N");
        writer.Text(Modules + "/vfio_pci/parameters/disable_idle_d3", "N");
        foreach (FunctionFacts facts in functions)
        {
            WriteFunction(writer, facts);
            WriteLinks(writer, facts);
            WriteBound(writer, facts);
            WriteVirtual(writer, facts, [.. functions.Where(other => other.Function.Physical == facts.Address)]);
        }

        foreach (ServedDevice function in functions.Select(facts => facts.Function).DistinctBy(function => function.Group))
        {
            writer.Text($"{Groups}/{function.Group}/type", "DMA-FQ");
            writer.Text($"{Groups}/{function.Group}/reserved_regions", "0x00000000fee00000 0x00000000feefffff msi");
            WriteGroup(writer, function);
        }
    }

    /// <summary>Makes what a function has that is bound to vfio-pci.</summary>
    internal static void WriteBound(TreeWriter writer, FunctionFacts facts)
    {
        string folder = FolderOf(facts.Address);
        writer.Link($"{Driver}/{facts.Address}", folder);
        writer.Link(folder + "/driver", Driver);
        writer.Text(folder + "/uevent", UeventOf(facts, isBound: true));
        string cdev = CdevOf(facts);
        writer.Text(cdev + "/dev", TextOf(DeviceNodes.CdevNumber(facts.Function)));
        writer.Link(cdev + "/device", folder);
        writer.Link(cdev + "/subsystem", CdevClass);
        writer.Link($"{CdevClass}/vfio{facts.Function.Number}", cdev);
    }

    /// <summary>Removes it.</summary>
    internal static void RemoveBound(TreeWriter writer, FunctionFacts facts)
    {
        string folder = FolderOf(facts.Address);
        writer.Remove($"{Driver}/{facts.Address}");
        writer.Remove(folder + "/driver");
        writer.Remove($"{CdevClass}/vfio{facts.Function.Number}");
        writer.Remove(folder + "/vfio-dev");
        writer.Text(folder + "/uevent", UeventOf(facts, isBound: false));
    }

    /// <summary>Makes what a group has of which a function is bound.</summary>
    internal static void WriteGroup(TreeWriter writer, ServedDevice function)
    {
        writer.Text($"{GroupDevices}/{function.Group}/dev", TextOf(DeviceNodes.GroupNumber(function)));
        writer.Link($"{GroupClass}/{function.Group}", $"{GroupDevices}/{function.Group}");
    }

    /// <summary>Removes it.</summary>
    internal static void RemoveGroup(TreeWriter writer, ServedDevice function)
    {
        writer.Remove($"{GroupClass}/{function.Group}");
        writer.Remove($"{GroupDevices}/{function.Group}");
    }

    /// <summary>The folder of a function.</summary>
    internal static string FolderOf(PciAddress address) => $"{RootBusOf(address)}/{address}";

    // A bus of the machine's own stays that.
    private static string RootOf(PciAddress address) => Directory.Exists(RootBusOf(address)) ? FolderOf(address) : RootBusOf(address);

    private static string RootBusOf(PciAddress address) => $"/sys/devices/pci{address.Domain:x4}:{address.Bus:x2}";

    private static string CdevOf(FunctionFacts facts) => $"{FolderOf(facts.Address)}/vfio-dev/vfio{facts.Function.Number}";

    private static string TextOf(DeviceNumber number) => string.Create(CultureInfo.InvariantCulture, $"{number.Major}:{number.Minor}");

    private static void WriteFunction(TreeWriter writer, FunctionFacts facts)
    {
        string folder = FolderOf(facts.Address);
        ConfigSpace config = facts.Config;
        uint code = config.Read32(8) >> 8;
        (string Name, string Text)[] shown =
        [
            ("vendor", $"0x{config.VendorId:x4}"),
            ("device", $"0x{config.DeviceId:x4}"),
            ("subsystem_vendor", $"0x{config.Read16(0x2c):x4}"),
            ("subsystem_device", $"0x{config.Read16(0x2e):x4}"),
            ("class", $"0x{code:x6}"),
            ("revision", $"0x{config.Read8(8):x2}"),
            ("irq", "0"),
            ("local_cpulist", "0"),
            ("local_cpus", "1"),
            ("broken_parity_status", "0"),
            ("dma_mask_bits", "64"),
            ("consistent_dma_mask_bits", "64"),
            ("ari_enabled", "0"),
            ("power_state", "D0"),
            ("modalias", ModAliasOf(config, code)),
            ("resource", ResourceOf(facts.Regions)),
        ];
        foreach ((string name, string text) in shown)
            writer.Text($"{folder}/{name}", text);
        writer.Text(folder + "/numa_node", "-1", isSettable: true);
        writer.Text(folder + "/enable", "1", isSettable: true);
        writer.Text(folder + "/msi_bus", "1", isSettable: true);
        writer.Text(folder + "/d3cold_allowed", "1", isSettable: true);
        writer.Text(folder + "/driver_override", DriverName, isSettable: true);
        writer.Bytes(folder + "/config", config.Bytes, isSettable: true);
        foreach (string action in (string[])["remove", "rescan"])
            writer.Bytes($"{folder}/{action}", [], isSettable: true);
        if (facts.CanReset)
        {
            writer.Text(folder + "/reset_method", "flr", isSettable: true);
            writer.Bytes(folder + "/reset", [], isSettable: true);
        }
    }

    private static void WriteLinks(TreeWriter writer, FunctionFacts facts)
    {
        string folder = FolderOf(facts.Address), name = facts.Address.ToString();
        string group = $"{Groups}/{facts.Function.Group}";
        writer.Link($"{Bus}/devices/{name}", folder);
        writer.Link($"{group}/devices/{name}", folder);
        writer.Link(folder + "/subsystem", Bus);
        writer.Link(folder + "/iommu_group", group);
    }

    // Which ones there are is the owner's to say: nothing of it can be written.
    private static void WriteVirtual(TreeWriter writer, FunctionFacts facts, FunctionFacts[] virtualFunctions)
    {
        string folder = FolderOf(facts.Address);
        if (facts.Function.Physical is { } physical)
            writer.Link(folder + "/physfn", FolderOf(physical));
        if (virtualFunctions.Length == 0 || VirtualPlaces.Find(facts.Config) is not { } places)
            return;
        writer.Text(folder + "/sriov_totalvfs", Decimal(places.Total));
        writer.Text(folder + "/sriov_numvfs", Decimal(virtualFunctions.Length));
        writer.Text(folder + "/sriov_offset", Decimal(places.Offset));
        writer.Text(folder + "/sriov_stride", Decimal(places.Stride));
        writer.Text(folder + "/sriov_vf_device", $"{places.Device:x4}");
        writer.Text(folder + "/sriov_drivers_autoprobe", "1");
        for (int i = 0; i < virtualFunctions.Length; i++)
            writer.Link($"{folder}/virtfn{Decimal(i)}", FolderOf(virtualFunctions[i].Address));
    }

    private static string Decimal(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static string ResourceOf(IReadOnlyList<BarAddress> regions) => string.Join('\n', Enumerable.Range(0, ResourceLines).Select(i =>
    {
        BarAddress region = i < regions.Count ? regions[i] : default;
        return $"0x{region.Start:x16} 0x{region.Last:x16} 0x{region.Flags:x16}";
    }));

    private static string ModAliasOf(ConfigSpace config, uint code) =>
        $"pci:v{config.VendorId:X8}d{config.DeviceId:X8}sv{config.Read16(0x2c):X8}sd{config.Read16(0x2e):X8}" +
        $"bc{code >> 16:X2}sc{code >> 8 & 0xff:X2}i{code & 0xff:X2}";

    private static string UeventOf(FunctionFacts facts, bool isBound)
    {
        ConfigSpace config = facts.Config;
        uint code = config.Read32(8) >> 8;
        return $"{(isBound ? $"DRIVER={DriverName}\n" : "")}PCI_CLASS={code:X}\nPCI_ID={config.VendorId:X4}:{config.DeviceId:X4}\n" +
            $"PCI_SUBSYS_ID={config.Read16(0x2c):X4}:{config.Read16(0x2e):X4}\nPCI_SLOT_NAME={facts.Address}\nMODALIAS={ModAliasOf(config, code)}";
    }
}
