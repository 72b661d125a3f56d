using Vfio.Pci;

namespace Vfio.Tests.Kernel;

/// <summary>A sysfs of PCI functions made here, in the form of the kernel's Documentation/ABI/testing/sysfs-bus-pci.</summary>
internal sealed class FakeSysfs : IDisposable
{
    public string Root { get; } = Directory.CreateTempSubdirectory("vfio-sysfs-").FullName;

    public static PciAddress Address(string text)
    {
        Assert.True(PciAddress.TryParse(text, out PciAddress address));
        return address;
    }

    /// <summary>Adds a function, and gives its folder.</summary>
    public string Add(string address, string? driver = null, int? group = null, uint classCode = 0x020000, byte[]? config = null)
    {
        string folder = PathOf($"bus/pci/devices/{address}");
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "class"), $"0x{classCode:x6}\n");
        File.WriteAllBytes(Path.Combine(folder, "config"), config ?? new byte[256]);
        File.WriteAllLines(Path.Combine(folder, "resource"), Enumerable.Repeat("0x0000000000000000 0x0000000000000000 0x0000000000000000", 13));
        if (driver is not null)
            Link(folder, "driver", $"bus/pci/drivers/{driver}");
        if (group is { } number)
        {
            Directory.CreateDirectory(PathOf($"kernel/iommu_groups/{number}/devices/{address}"));
            Link(folder, "iommu_group", $"kernel/iommu_groups/{number}");
        }

        return folder;
    }

    public void Link(string folder, string name, string target)
    {
        Directory.CreateDirectory(PathOf(target));
        Directory.CreateSymbolicLink(Path.Combine(folder, name), PathOf(target));
    }

    public void Dispose() => Directory.Delete(Root, recursive: true);

    private string PathOf(string relative) => Path.Combine(Root, relative);
}
