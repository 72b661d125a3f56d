using Vfio.Cli.Show;
using Vfio.Pci;
using Vfio.Pci.Names;

namespace Vfio.Tests.Pci;

/// <summary>udev's database of hardware: what <c>lspci</c> asks when <c>pci.ids</c> lacks a name.</summary>
public sealed class HardwareDatabaseTests
{
    private const string Vendor = "ID_VENDOR_FROM_DATABASE", Model = "ID_MODEL_FROM_DATABASE";

    private static DatabaseMaker Names => new DatabaseMaker()
        .Add("pci:v00006903*", Vendor, "A Vendor (wrong ID)")
        .Add("pci:v00006903d00000001*", Model, "A Device", line: 10)
        .Add("pci:v00006903d00000001sv00006903sd00000002*", Model, "A Board", line: 12)
        .Add("pci:v*d*sv*sd*bc0D*", "ID_PCI_CLASS_FROM_DATABASE", "Wireless controller")
        .Add("pci:v*d*sv*sd*bc0Dsc20*", "ID_PCI_SUBCLASS_FROM_DATABASE", "802.1a controller")
        .Add("pci:v*d*sv*sd*bc0Dsc20i01*", "ID_PCI_INTERFACE_FROM_DATABASE", "An Interface")
        .Add("usb:v00006903*", Vendor, "Another Vendor");

    private static PciIds Ids(byte[] database, string text = "") =>
        PciIds.From(() => new StringReader(text), () => HardwareDatabase.Read(database));

    [Fact]
    public void What_the_text_lacks_the_database_names()
    {
        PciIds names = Ids(Names.Make());
        Assert.Equal("A Vendor (wrong ID)", names.Vendor(0x6903));
        Assert.Equal("A Vendor (wrong ID) A Device", names.Device(0x6903, 1));
        Assert.Equal("A Vendor (wrong ID) Device 0003", names.Device(0x6903, 3));
        Assert.Equal("Device 6904:0001", names.Device(0x6904, 1));
        Assert.Equal("802.1a controller", names.Class(0x0d20));
        Assert.Equal("Wireless controller [0d21]", names.Class(0x0d21));
        Assert.Equal("Class 0e00", names.Class(0x0e00));
        Assert.Equal("An Interface", names.Interface(0x0d20, 1));
        Assert.Null(names.Interface(0x0d20, 2));
    }

    [Fact]
    public void What_the_text_has_the_database_does_not_change()
    {
        PciIds names = Ids(Names.Make(), "6903  The Vendor\n\t0001  The Device\nC 0d  Radio\n\t20  Radio 20\n");
        Assert.Equal("The Vendor The Device", names.Device(0x6903, 1));
        Assert.Equal("Radio 20", names.Class(0x0d20));
        Assert.Equal("An Interface", names.Interface(0x0d20, 1));
    }

    /// <remarks>The pattern of a device matches all its subsystems, and <c>lspci</c> takes the first name of a model.</remarks>
    [Fact]
    public void A_board_without_a_name_of_its_own_has_its_devices()
    {
        PciIds names = Ids(Names.Make());
        Assert.Equal("A Vendor (wrong ID) A Board", names.Subsystem(0x6903, 1, 0x6903, 2));
        Assert.Equal("A Vendor (wrong ID) A Device", names.Subsystem(0x6903, 1, 0x6903, 3));
        Assert.Equal("A Vendor (wrong ID) Device 0003", names.Subsystem(0x6903, 2, 0x6903, 3));
    }

    [Theory]
    [InlineData(true, "local")]
    [InlineData(false, "late")]
    public void Of_two_values_the_one_of_the_higher_priority_counts(bool withSources, string expected)
    {
        byte[] database = new DatabaseMaker(withSources)
            .Add("pci:v00001234*", Vendor, "local", priority: 2, line: 1)
            .Add("pci:v0000123?*", Vendor, "distribution", priority: 1, line: 9)
            .Add("pci:v00001234*", Vendor, "late", priority: 1, line: 7)
            .Make();
        Assert.Equal(expected, HardwareDatabase.Read(database)!.Find("pci:v00001234*", Vendor));
    }

    [Theory]
    [InlineData("pci:v0000*d0001*", "pci:v0000abcdd0001sv*", true)]
    [InlineData("pci:v0000*d0001*", "pci:v0000abcdd0002sv*", false)]
    [InlineData("pci:v000?1*", "pci:v00011", true)]
    [InlineData("pci:v000?1", "pci:v0001", false)]
    [InlineData("pci:v[0-3]1*", "pci:v21", true)]
    [InlineData("pci:v[0-3]1*", "pci:v41", false)]
    [InlineData("pci:v[!0-3]1*", "pci:v41", true)]
    [InlineData("pci:v[abc]1", "pci:vb1", true)]
    [InlineData("pci:v[]]1", "pci:v]1", true)]
    [InlineData("pci:v[1", "pci:v[1", true)]
    [InlineData("pci:v*", "pci:v", true)]
    [InlineData("pci:v", "pci:v0", false)]
    public void Patterns_match_as_the_shells_do(string pattern, string name, bool matches) =>
        Assert.Equal(matches ? "yes" : null, HardwareDatabase.Read(new DatabaseMaker().Add(pattern, "KEY", "yes").Make())!.Find(name, "KEY"));

    [Fact]
    public void A_broken_database_has_less_and_fails_at_nothing()
    {
        byte[] whole = Names.Make();
        Assert.Null(HardwareDatabase.Read(whole.AsMemory(0, whole.Length - 1)));
        Assert.Null(HardwareDatabase.Read(Array.Empty<byte>()));
        Random random = new(1);
        for (int i = 0; i < 2000; i++)
        {
            byte[] broken = [.. whole];
            for (int flips = random.Next(1, 4); flips > 0; flips--)
                broken[random.Next(24, broken.Length)] = (byte)(random.Next(2) == 0 ? 0xff : random.Next(256));
            HardwareDatabase? database = HardwareDatabase.Read(broken);
            database?.Find("pci:v00006903d00000001sv00006903sd00000002*", Model);
            database?.Find("pci:v*d*sv*sd*bc0D*", Vendor);
        }
    }

    [Fact]
    public void The_machines_names_come_from_the_first_file_that_is_there()
    {
        string root = Directory.CreateTempSubdirectory("vfio-test-").FullName;
        Assert.Equal("Device 6903:0001", InstalledNames.Read(root).Device(0x6903, 1));
        Write("usr/lib/udev/hwdb.bin", Names.Make());
        Assert.Equal("A Vendor (wrong ID) A Device", InstalledNames.Read(root).Device(0x6903, 1));
        Write("etc/udev/hwdb.bin", new DatabaseMaker().Add("pci:v00006903*", Vendor, "Local Vendor").Make());
        Assert.Equal("Local Vendor Device 0001", InstalledNames.Read(root).Device(0x6903, 1));
        Write("usr/share/hwdata/pci.ids", "6903  The Vendor\n"u8.ToArray());
        Assert.Equal("The Vendor Device 0001", InstalledNames.Read(root).Device(0x6903, 1));
        Write("etc/systemd/hwdb/hwdb.bin", [1, 2, 3]);
        Assert.Equal("Device 6904:0001", InstalledNames.Read(root).Device(0x6904, 1));
        Directory.Delete(root, recursive: true);

        void Write(string name, byte[] bytes)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(root, name))!);
            File.WriteAllBytes(Path.Combine(root, name), bytes);
        }
    }
}
