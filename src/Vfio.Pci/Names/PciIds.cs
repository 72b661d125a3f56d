using Vfio.Pci.Config;

namespace Vfio.Pci.Names;

/// <summary>Names of vendors, devices, subsystems and classes, from the text of <c>pci.ids</c>, and from udev's database what that
/// lacks.</summary>
/// <remarks>The format of https://pci-ids.ucw.cz. The text is read at the first question, the database at the first that the text does not
/// answer. Lines that make no sense are passed over: a name less is no reason to fail. Both are asked as <c>lspci</c> asks them. Safe to ask
/// from any thread.</remarks>
internal sealed class PciIds
{
    private readonly Lazy<Dictionary<Key, string>> _names;
    private readonly Lazy<HardwareDatabase?> _database;

    private PciIds(Func<Dictionary<Key, string>> read, Func<HardwareDatabase?> readDatabase) =>
        (_names, _database) = (new(read), new(readDatabase));

    private enum Kind
    {
        Vendor,
        Device,
        Subsystem,
        GenericSubsystem,
        BaseClass,
        SubClass,
        Interface,
    }

    /// <summary>Knows no name: everything is shown by number.</summary>
    public static PciIds Empty { get; } = new(() => [], () => null);

    /// <summary>How many names the text has.</summary>
    public int Count => _names.Value.Count;

    /// <summary>Reads a text.</summary>
    /// <param name="open">Opens the text; called at the first question, and what it opens is disposed after.</param>
    /// <param name="readDatabase">Reads udev's database, which is asked for what the text does not have; null, or returning null, for
    /// none.</param>
    internal static PciIds From(Func<TextReader> open, Func<HardwareDatabase?>? readDatabase = null)
    {
        ArgumentNullException.ThrowIfNull(open);
        return new PciIds(
            () =>
            {
                using TextReader text = open();
                return Read(text);
            },
            readDatabase ?? (() => null));
    }

    /// <summary>Name of a vendor; null when unknown.</summary>
    public string? Vendor(ushort vendor) => Find(Kind.Vendor, vendor);

    /// <summary>Name of a device with its vendor; numbers stand in for what is unknown.</summary>
    public string Device(ushort vendor, ushort device) => Pair(vendor, device, Find(Kind.Device, vendor, device));

    /// <summary>Name of a device without its vendor; null when unknown.</summary>
    public string? DeviceAlone(ushort vendor, ushort device) => Find(Kind.Device, vendor, device);

    /// <summary>Name of a subsystem with its vendor; numbers stand in for what is unknown.</summary>
    public string Subsystem(ushort vendor, ushort device, ushort subsystemVendor, ushort subsystemDevice)
    {
        string? name = Find(Kind.Subsystem, Both(vendor, device), Both(subsystemVendor, subsystemDevice))
            ?? Find(Kind.GenericSubsystem, subsystemVendor, subsystemDevice);
        if (name is null && vendor == subsystemVendor && device == subsystemDevice)
            name = Find(Kind.Device, vendor, device);
        return Pair(subsystemVendor, subsystemDevice, name);
    }

    /// <summary>Name of a class.</summary>
    /// <param name="code">Base class in the upper byte, sub-class in the lower.</param>
    public string Class(ushort code)
    {
        uint baseClass = (uint)code >> 8;
        return Find(Kind.SubClass, baseClass, code & 0xffu)
            ?? (Find(Kind.BaseClass, baseClass) is { } name ? $"{name} [{code:x4}]" : $"Class {code:x4}");
    }

    /// <summary>Name of a programming interface; null when unknown.</summary>
    /// <param name="code">The class.</param>
    /// <param name="interfaceCode">The programming interface of that class.</param>
    public string? Interface(ushort code, byte interfaceCode) =>
        Find(Kind.Interface, code, interfaceCode) ?? (code == 0x0101 && (interfaceCode & 0x70) == 0 ? IdeInterface(interfaceCode) : null);

    // PCI IDE Controller Specification 1.0: bits that say which channels can change mode, and can master.
    private static string IdeInterface(byte code) => string.Join(' ', new (int Bit, string Name)[]
    {
        (7, "Master"), (3, "SecP"), (2, "SecO"), (1, "PriP"), (0, "PriO"),
    }.Where(part => ((uint)code).Get(part.Bit)).Select(part => part.Name));

    private string Pair(ushort vendor, ushort device, string? name) => (Vendor(vendor), name) switch
    {
        (null, _) => $"Device {vendor:x4}:{device:x4}",
        (string known, null) => $"{known} Device {device:x4}",
        (string known, _) => $"{known} {name}",
    };

    private string? Find(Kind kind, uint first, uint second = 0)
    {
        if (_names.Value.GetValueOrDefault(new Key(kind, first, second)) is { } name)
            return name;
        if (_database.Value is not { } database)
            return null;
        (string modalias, string property) = kind switch
        {
            Kind.Vendor => ($"pci:v{first:X8}*", "ID_VENDOR_FROM_DATABASE"),
            Kind.Device => ($"pci:v{first:X8}d{second:X8}*", "ID_MODEL_FROM_DATABASE"),
            Kind.Subsystem => (
                $"pci:v{first >> 16:X8}d{first & 0xffff:X8}sv{second >> 16:X8}sd{second & 0xffff:X8}*", "ID_MODEL_FROM_DATABASE"),
            Kind.GenericSubsystem => ($"pci:v*d*sv{first:X8}sd{second:X8}*", "ID_MODEL_FROM_DATABASE"),
            Kind.BaseClass => ($"pci:v*d*sv*sd*bc{first:X2}*", "ID_PCI_CLASS_FROM_DATABASE"),
            Kind.SubClass => ($"pci:v*d*sv*sd*bc{first:X2}sc{second:X2}*", "ID_PCI_SUBCLASS_FROM_DATABASE"),
            _ => ($"pci:v*d*sv*sd*bc{first >> 8:X2}sc{first & 0xff:X2}i{second:X2}*", "ID_PCI_INTERFACE_FROM_DATABASE"),
        };
        return database.Find(modalias, property) is { Length: > 0 } known ? known : null;
    }

    private static uint Both(uint upper, uint lower) => upper << 16 | lower;

    private static Dictionary<Key, string> Read(TextReader text)
    {
        Dictionary<Key, string> names = new(48_000);
        PciIdsLine block = default;
        uint first = 0;
        uint second = 0;
        while (text.ReadLine() is { } line)
        {
            if (!PciIdsLine.TryParse(line, block.Block, out PciIdsLine entry))
                continue;
            if (entry.Depth == 0)
                block = entry;
            (Kind? kind, uint upper, uint lower) = (entry.Block, entry.Depth) switch
            {
                ('V', 0) => ((Kind?)Kind.Vendor, first = entry.Id, 0u),
                ('V', 1) => (Kind.Device, first, second = entry.Id),
                ('V', 2) => (Kind.Subsystem, Both(first, second), Both(entry.Id, entry.SecondId)),
                ('C', 0) => (Kind.BaseClass, first = entry.Id, 0u),
                ('C', 1) => (Kind.SubClass, first, second = entry.Id),
                ('C', 2) => (Kind.Interface, first << 8 | second, entry.Id),
                ('S', 0) => (null, first = entry.Id, 0u),
                ('S', 1) => (Kind.GenericSubsystem, first, entry.Id),
                _ => ((Kind?)null, 0u, 0u),
            };
            if (kind is { } known)
                names.TryAdd(new Key(known, upper, lower), entry.Name);
        }

        return names;
    }

    private readonly record struct Key(Kind Kind, uint First, uint Second);
}
