using System.Buffers.Binary;
using System.Globalization;
using Vfio.Kernel.Topology;
using Vfio.Pci;

namespace Vfio.Kernel;

/// <summary>A PCI function of this machine, as sysfs shows it now.</summary>
/// <remarks>Every property is read at the time of the call. A function that is removed meanwhile throws
/// <see cref="VfioException"/> with ENODEV. See the kernel's Documentation/ABI/testing/sysfs-bus-pci.</remarks>
public sealed class KernelFunction
{
    /// <summary>The attribute that unbinds a function, whose address is written to it, from its driver.</summary>
    internal const string UnbindName = "driver/unbind";

    /// <summary>The attribute that makes the kernel probe the drivers of a function, whose address is written to it.</summary>
    internal const string ProbeName = "../../drivers_probe";

    private const int BarCount = 6;
    private readonly SysfsFolder _sysfs;

    internal KernelFunction(string folder, PciAddress address)
    {
        _sysfs = new SysfsFolder(folder, address.ToString());
        Address = address;
    }

    /// <summary>Where it is.</summary>
    public PciAddress Address { get; }

    /// <summary>Its folder.</summary>
    internal SysfsFolder Sysfs => _sysfs;

    /// <summary>Vendor ID; of a virtual function too, whose config space has none.</summary>
    public ushort VendorId => _sysfs.Text("vendor") is { } text ? (ushort)Hex(text) : ReadConfig().VendorId;

    /// <summary>Device ID; of a virtual function too, whose config space has none.</summary>
    public ushort DeviceId => _sysfs.Text("device") is { } text ? (ushort)Hex(text) : ReadConfig().DeviceId;

    /// <summary>Its config space as far as this user may read it: 64 bytes for an ordinary user, all of it for root.</summary>
    public ConfigSpace ReadConfig() => new(_sysfs.Read("config", ReadToEnd));

    /// <summary>BAR0 to BAR5 and the ROM.</summary>
    public IReadOnlyList<KernelRegion> Regions =>
        [.. _sysfs.Read("resource", File.ReadAllLines).Take(BarCount + 1).Select(ParseRegion)];

    /// <summary>The driver that is bound to it; null when none is.</summary>
    public string? Driver => _sysfs.Driver;

    /// <summary>The VFIO driver that is bound to it; null when it is not assigned.</summary>
    /// <remarks>All VFIO drivers have "vfio" in their name: vfio-pci, mlx5_vfio_pci.</remarks>
    public string? VfioDriver => Driver is { } driver && driver.Contains("vfio", StringComparison.Ordinal) ? driver : null;

    /// <summary>Its cdev below <c>/dev/vfio</c>: <c>devices/vfio0</c>; null when it is not assigned, or the kernel is older than 6.6.</summary>
    public string? VfioDevice => _sysfs.VfioDevice;

    /// <summary>Whether it is in a group without an IOMMU, which protects nothing.</summary>
    public bool IsUntranslated => Directory.Exists(Path.Combine(_sysfs.FullPath, "iommu_group"))
        && _sysfs.Text(Path.Combine("iommu_group", "name")) is "vfio-noiommu";

    /// <summary>Class code: class in bits 23:16, subclass in 15:8, programming interface in 7:0.</summary>
    public uint ClassCode => _sysfs.Text("class") is { } text ? (uint)Hex(text) : 0;

    /// <summary>Whether it leads to a bus (PCI, CardBus). VFIO cannot assign it, and its driver does not make its group unviable.</summary>
    public bool IsBridge => HeaderType is 1 or 2 || ClassCode >> 8 is 0x0604 or 0x0607 or 0x0609;

    /// <summary>Whether it is a bridge of the machine itself (host, ISA, EISA, MicroChannel), which is not assigned either. Other members of
    /// the class are ordinary devices: switches of NVLink, non-transparent bridges.</summary>
    internal bool IsMachineBridge => !IsBridge && ClassCode >> 8 is >= 0x0600 and <= 0x0603;

    /// <summary>Layout of its config space, bits 6:0 of the byte at 0x0e: 0 of a device, 1 of a PCI bridge, 2 of a CardBus bridge.</summary>
    /// <remarks>PCI Local Bus 3.0, 6.2.1.</remarks>
    internal int HeaderType => HeaderByte & 0x7f;

    /// <summary>Whether config space reads as all ones, because the device does not answer. No function has this header type.</summary>
    internal bool IsSilent => HeaderByte == 0xff;

    private byte HeaderByte => _sysfs.Exists("config") && ReadConfig() is { Length: > 0x0e } config ? config.Read8(0x0e) : (byte)0;

    /// <summary>Number of its IOMMU group; null when no IOMMU is in use.</summary>
    public string? IommuGroup => _sysfs.IommuGroup;

    /// <summary>The functions of its IOMMU group, this one included; only this one when no IOMMU is in use.</summary>
    public IReadOnlyList<PciAddress> GroupMembers
    {
        get
        {
            string members = Path.Combine(_sysfs.FullPath, "iommu_group", "devices");
            return Directory.Exists(members) ? PciTopology.AddressesIn(members) : [Address];
        }
    }

    /// <summary>The same as objects; a function that was removed meanwhile is left out.</summary>
    internal IEnumerable<KernelFunction> GroupFunctions => GroupMembers
        .Select(member => new KernelFunction(Path.Combine(Path.GetDirectoryName(_sysfs.FullPath)!, member.ToString()), member))
        .Where(member => Directory.Exists(member._sysfs.FullPath));

    /// <summary>The IOMMU that translates for it, as sysfs names it: <c>dmar0</c>; null when none does.</summary>
    public string? Iommu => _sysfs.LinkName("iommu");

    /// <summary>Whether its group is viable, as Linux defines it: every function is bound to a VFIO driver or to none. Bridges and functions of
    /// pci-stub do not count.</summary>
    public Finding GroupViability => AssignabilityCheck.CheckGroup(this);

    /// <summary>Checks whether it is well-behaved, without a write to it. A fact that needs a write is unknown; for an ordinary user, so is
    /// everything beyond the first 64 bytes of config space.</summary>
    public WellBehavedReport Check() => AssignabilityCheck.Check(this);

    /// <summary>The kernel's reset methods for it, in order of preference; empty when it cannot be reset.</summary>
    public IReadOnlyList<string> ResetMethods =>
        _sysfs.Text("reset_method")?.Split(' ', StringSplitOptions.RemoveEmptyEntries) ?? (_sysfs.Exists("reset") ? ["reset"] : []);

    /// <summary>NUMA node of the slot; null when the machine has one only.</summary>
    public int? NumaNode => _sysfs.Text("numa_node") is { } text && int.Parse(text, CultureInfo.InvariantCulture) is >= 0 and int node ? node : null;

    /// <summary>The most virtual functions that it can have; 0 without SR-IOV.</summary>
    public int TotalVirtualFunctions => _sysfs.Text("sriov_totalvfs") is { } text ? int.Parse(text, CultureInfo.InvariantCulture) : 0;

    /// <summary>Number of virtual functions now, from <c>sriov_numvfs</c>.</summary>
    internal int EnabledVirtualFunctions => _sysfs.Text("sriov_numvfs") is { } text ? int.Parse(text, CultureInfo.InvariantCulture) : 0;

    /// <summary>Its virtual functions.</summary>
    public IReadOnlyList<PciAddress> VirtualFunctions =>
    [
        .. Directory.EnumerateFileSystemEntries(_sysfs.FullPath, "virtfn*")
            .Select(link => PciAddress.TryParse(Directory.ResolveLinkTarget(link, returnFinalTarget: false)?.Name ?? "", out PciAddress address) ? address : (PciAddress?)null)
            .OfType<PciAddress>()
            .OrderBy(address => (address.Domain, address.Bus, address.Device, address.Function)),
    ];

    /// <summary>Its physical function; null when it is no virtual function.</summary>
    public PciAddress? PhysicalFunction =>
        _sysfs.LinkName("physfn") is { } name && PciAddress.TryParse(name, out PciAddress address) ? address : null;

    /// <summary>The only driver that may bind to it (<c>driver_override</c>); null for any that matches.</summary>
    public string? DriverOverride => _sysfs.Text("driver_override") is { Length: > 0 } text and not "(null)" ? text : null;

    /// <summary>The interrupt line to which the kernel routed its pin; 0 when it has none.</summary>
    public int Irq => _sysfs.Text("irq") is { } text ? int.Parse(text, CultureInfo.InvariantCulture) : 0;

    /// <summary>The address as the kernel writes it.</summary>
    public override string ToString() => Address.ToString();

    /// <summary>Writes an attribute.</summary>
    /// <exception cref="VfioException">The kernel refused.</exception>
    internal void Write(string name, string value) => _sysfs.Write(name, value);

    /// <summary>Its config space, of which a dword is read when it is first looked at: 64 bytes for an ordinary user, all of it for root.</summary>
    internal ConfigSpace LookAtConfig()
    {
        int length = (int)Math.Min(_sysfs.Read("config", path => new FileInfo(path).Length), ConfigSpace.ExtendedLength);
        return new ConfigSpace(length, offset => _sysfs.Read("config", path => ReadDword(path, offset)));
    }

    /// <summary>Writes bits of a register of config space; the others are written back as they are read.</summary>
    /// <param name="offset">A multiple of <paramref name="width"/>.</param>
    /// <param name="width">1, 2 or 4 bytes.</param>
    /// <param name="mask">The bits.</param>
    /// <param name="value">Their value.</param>
    /// <returns>False for anybody but root, and when the function is gone.</returns>
    internal bool TryRestoreConfig(int offset, int width, uint mask, uint value)
    {
        try
        {
            using FileStream file = new(
                Path.Combine(_sysfs.FullPath, "config"), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite, bufferSize: 0);
            Span<byte> bytes = stackalloc byte[sizeof(uint)];
            bytes.Clear();
            if (RandomAccess.Read(file.SafeFileHandle, bytes[..width], offset) != width)
                return false;
            uint now = BinaryPrimitives.ReadUInt32LittleEndian(bytes);
            if ((now & mask) == value)
                return true;
            BinaryPrimitives.WriteUInt32LittleEndian(bytes, (now & ~mask) | value);
            RandomAccess.Write(file.SafeFileHandle, bytes[..width], offset);
            return true;
        }
        catch (Exception refusal) when (refusal is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static uint ReadDword(string path, int offset)
    {
        using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        bytes.Fill(byte.MaxValue);
        RandomAccess.Read(file.SafeFileHandle, bytes, offset);
        return BinaryPrimitives.ReadUInt32LittleEndian(bytes);
    }

    private static KernelRegion ParseRegion(string line)
    {
        string[] parts = line.Split(' ');
        ulong start = Hex(parts[0]), end = Hex(parts[1]), flags = Hex(parts[2]);
        return new KernelRegion(start, flags == 0 ? 0 : end - start + 1, flags);
    }

    private static ulong Hex(string text) => ulong.Parse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    /// <summary>The readable part: the file is as long as config space, and ends after 64 bytes for an ordinary user.</summary>
    private static byte[] ReadToEnd(string path)
    {
        using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
        byte[] bytes = new byte[ConfigSpace.ExtendedLength];
        return bytes[..file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false)];
    }
}
