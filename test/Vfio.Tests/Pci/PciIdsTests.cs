using Vfio.Pci;
using Vfio.Pci.Names;

namespace Vfio.Tests.Pci;

public sealed class PciIdsTests
{
    private const string Text = """
        # A comment
        1234  First Vendor
        	5678  Some Device
        		1234 0001  Board One
        		abcd 0002  Board Two
        	9abc  Other Device

        this line makes no sense
        abcd  Second Vendor
        C 01  Mass storage controller
        	01  IDE interface
        	06  SATA controller
        		01  AHCI 1.0
        C 02  Network controller
        S abcd
        	0009  Any Board
        """;

    private static PciIds Names => PciIds.From(() => new StringReader(Text));

    [Theory]
    [InlineData(0x1234, 0x5678, "First Vendor Some Device")]
    [InlineData(0x1234, 0xffff, "First Vendor Device ffff")]
    [InlineData(0x4321, 0x5678, "Device 4321:5678")]
    public void A_device_is_named_as_far_as_it_is_known(ushort vendor, ushort device, string name) =>
        Assert.Equal(name, Names.Device(vendor, device));

    [Theory]
    [InlineData(0x1234, 0x0001, "First Vendor Board One")]
    [InlineData(0xabcd, 0x0002, "Second Vendor Board Two")]
    [InlineData(0xabcd, 0x0009, "Second Vendor Any Board")]
    [InlineData(0x1234, 0x5678, "First Vendor Some Device")]
    [InlineData(0xabcd, 0x0001, "Second Vendor Device 0001")]
    [InlineData(0x4321, 0x0001, "Device 4321:0001")]
    public void A_subsystem_is_named_by_its_device_then_by_its_vendor(ushort vendor, ushort device, string name) =>
        Assert.Equal(name, Names.Subsystem(0x1234, 0x5678, vendor, device));

    [Theory]
    [InlineData(0x0106, "SATA controller")]
    [InlineData(0x0177, "Mass storage controller [0177]")]
    [InlineData(0x7700, "Class 7700")]
    public void A_class_is_named_as_far_as_it_is_known(ushort code, string name) => Assert.Equal(name, Names.Class(code));

    [Theory]
    [InlineData(0x0106, 0x01, "AHCI 1.0")]
    [InlineData(0x0101, 0x8a, "Master SecP PriP")]
    [InlineData(0x0106, 0x02, null)]
    public void An_interface_is_named_or_not(ushort code, byte interfaceCode, string? name) =>
        Assert.Equal(name, Names.Interface(code, interfaceCode));

    [Fact]
    public void The_text_is_opened_at_the_first_question_and_only_once()
    {
        int opened = 0;
        PciIds names = PciIds.From(() =>
        {
            opened++;
            return new StringReader(Text);
        });
        Assert.Equal(0, opened);
        _ = names.Vendor(0x1234);
        _ = names.Vendor(0xabcd);
        Assert.Equal(1, opened);
    }

    [Fact]
    public void Without_a_text_there_are_numbers() => Assert.Equal("Device 1234:5678", PciIds.Empty.Device(0x1234, 0x5678));
}
