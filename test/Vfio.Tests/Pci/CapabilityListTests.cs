using Vfio.Pci;
using Xunit;

namespace Vfio.Tests.Pci;

public sealed class CapabilityListTests
{
    private static byte[] Function(int length = 256)
    {
        byte[] bytes = new byte[length];
        bytes[0] = 0x34;
        bytes[1] = 0x12;
        if (length > 6)
            bytes[6] = 0x10;
        return bytes;
    }

    private static void Put(byte[] bytes, int offset, params byte[] values) => values.CopyTo(bytes, offset);

    [Fact]
    public void Capabilities_come_in_the_order_of_the_list()
    {
        byte[] bytes = Function();
        bytes[0x34] = 0x80;
        Put(bytes, 0x80, 0x01, 0x50);
        Put(bytes, 0x50, 0x05, 0x00, 0x80, 0x01);

        CapabilityList list = CapabilityList.Read(new ConfigSpace(bytes));

        Assert.Equal(["[80] Power Management", "[50] MSI"], list.Items.Select(item => $"{item.Heading} {item.Name}"));
        Assert.Equal([8, 24], list.Items.Select(item => item.LengthBytes));
        Assert.Empty(list.Problems);
    }

    [Fact]
    public void A_loop_is_reported_and_left()
    {
        byte[] bytes = Function();
        bytes[0x34] = 0x40;
        Put(bytes, 0x40, 0x01, 0x50);
        Put(bytes, 0x50, 0x03, 0x40);

        CapabilityList list = CapabilityList.Read(new ConfigSpace(bytes));

        Assert.Equal(2, list.Items.Count);
        Assert.Equal(["the list loops: 0x51 points back to 0x40"], list.Problems);
    }

    [Fact]
    public void An_unknown_id_reaches_to_the_next_structure()
    {
        byte[] bytes = Function();
        bytes[0x34] = 0x40;
        Put(bytes, 0x40, 0x77, 0x60);
        Put(bytes, 0x60, 0x03, 0x00);

        Capability unknown = CapabilityList.Read(new ConfigSpace(bytes)).Items[0];

        Assert.Equal("Capability ID 0x77", unknown.Name);
        Assert.Equal(0x20, unknown.LengthBytes);
        Assert.Equal(2, unknown.Registers.Count);
    }

    [Theory]
    [InlineData(0x20, "the pointer at 0x34 leads to 0x20, before 0x40 where capabilities start")]
    [InlineData(0x43, "the pointer at 0x34 is misaligned: 0x43 is taken as 0x40")]
    public void A_bad_first_pointer_is_reported(byte pointer, string problem)
    {
        byte[] bytes = Function();
        bytes[0x34] = pointer;
        Put(bytes, 0x40, 0x03, 0x00);

        CapabilityList list = CapabilityList.Read(new ConfigSpace(bytes));

        Assert.Equal([problem], list.Problems);
    }

    [Fact]
    public void A_list_beyond_a_64_byte_dump_is_reported()
    {
        byte[] bytes = Function(64);
        bytes[0x34] = 0x50;

        CapabilityList list = CapabilityList.Read(new ConfigSpace(bytes));

        Assert.Empty(list.Items);
        Assert.Equal(["the list goes on at 0x50, but only 64 bytes are known"], list.Problems);
    }

    [Fact]
    public void An_overlap_is_reported_once()
    {
        byte[] bytes = Function();
        bytes[0x34] = 0x40;
        Put(bytes, 0x40, 0x01, 0x44);
        Put(bytes, 0x44, 0x03, 0x00);

        CapabilityList list = CapabilityList.Read(new ConfigSpace(bytes));

        Assert.Equal(["[40] Power Management, 8 bytes, overlaps [44] Vital Product Data"], list.Problems);
    }

    [Fact]
    public void A_capability_that_leaves_config_space_keeps_only_its_registers_inside()
    {
        byte[] bytes = Function();
        bytes[0x34] = 0xf8;
        Put(bytes, 0xf8, 0x11, 0x00);

        CapabilityList list = CapabilityList.Read(new ConfigSpace(bytes));

        Assert.Equal(["[f8] MSI-X, 12 bytes, runs past the 256 bytes that are known"], list.Problems);
        Assert.All(list.Items[0].Registers, register => Assert.True(register.Offset + register.Bytes <= 8));
    }

    [Fact]
    public void Extended_capabilities_follow_only_where_PCI_Express_or_PCI_X_is()
    {
        byte[] bytes = Function(4096);
        Put(bytes, 0x100, 0x03, 0x00, 0x11, 0x15);
        Put(bytes, 0x150, 0x55, 0x00, 0x02, 0x00);
        Assert.Empty(CapabilityList.Read(new ConfigSpace(bytes)).Items);

        bytes[0x34] = 0x40;
        Put(bytes, 0x40, 0x10, 0x00, 0x02, 0x00);
        CapabilityList list = CapabilityList.Read(new ConfigSpace(bytes));

        Assert.Equal(["[40] Express", "[100 v1] Device Serial Number", "[150 v2] Extended Capability ID 0x55"],
            list.Items.Select(item => $"{item.Heading} {item.Name}"));
        Assert.Equal(4096 - 0x150, list.Items[2].LengthBytes);
    }

    [Fact]
    public void An_extended_list_that_points_back_is_left()
    {
        byte[] bytes = Function(4096);
        bytes[0x34] = 0x40;
        Put(bytes, 0x40, 0x10, 0x00, 0x02, 0x00);
        Put(bytes, 0x100, 0x03, 0x00, 0x01, 0x10);

        CapabilityList list = CapabilityList.Read(new ConfigSpace(bytes));

        Assert.Equal(2, list.Items.Count);
        Assert.Equal(["the list loops: 0x100 points back to 0x100"], list.Problems);
    }

    [Fact]
    public void Hidden_extended_space_is_no_problem()
    {
        byte[] bytes = Function(4096);
        bytes[0x34] = 0x40;
        Put(bytes, 0x40, 0x10, 0x00, 0x02, 0x00);
        bytes.AsSpan(0x100).Fill(0xff);

        Assert.Empty(CapabilityList.Read(new ConfigSpace(bytes)).Problems);
    }
}
