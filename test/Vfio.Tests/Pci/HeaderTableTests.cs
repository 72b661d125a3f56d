using Vfio.Pci;
using Vfio.Pci.Capabilities;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Tests.Pci;

/// <summary>The header, transcribed a second time.</summary>
public sealed class HeaderTableTests
{
    [Theory]
    // offset, bytes, passed through, virtual, virtual and fixed, cleared by writing 1
    [InlineData(0x00, 2, 0x0000, 0x0000, 0xffff, 0x0000)]
    [InlineData(0x02, 2, 0x0000, 0x0000, 0xffff, 0x0000)]
    [InlineData(0x04, 2, 0x03fc, 0x0403, 0x0000, 0x0000)]
    [InlineData(0x06, 2, 0x0000, 0x0000, 0x0010, 0x0000)]
    [InlineData(0x08, 1, 0, 0, 0, 0)]
    [InlineData(0x09, 1, 0, 0, 0, 0)]
    [InlineData(0x0a, 2, 0, 0, 0, 0)]
    [InlineData(0x0c, 1, 0xff, 0, 0, 0)]
    [InlineData(0x0d, 1, 0xff, 0, 0, 0)]
    [InlineData(0x0e, 1, 0, 0, 0, 0)]
    [InlineData(0x0f, 1, 0x4f, 0, 0, 0)]
    [InlineData(0x10, 4, 0, 0xffffffff, 0, 0)]
    [InlineData(0x14, 4, 0, 0xffffffff, 0, 0)]
    [InlineData(0x18, 4, 0, 0xffffffff, 0, 0)]
    [InlineData(0x1c, 4, 0, 0xffffffff, 0, 0)]
    [InlineData(0x20, 4, 0, 0xffffffff, 0, 0)]
    [InlineData(0x24, 4, 0, 0xffffffff, 0, 0)]
    [InlineData(0x28, 4, 0, 0, 0, 0)]
    [InlineData(0x2c, 2, 0, 0, 0, 0)]
    [InlineData(0x2e, 2, 0, 0, 0, 0)]
    [InlineData(0x30, 4, 0, 0xffffffff, 0, 0)]
    [InlineData(0x34, 1, 0, 0, 0xff, 0)]
    [InlineData(0x3c, 1, 0, 0xff, 0, 0)]
    [InlineData(0x3d, 1, 0, 0, 0xff, 0)]
    [InlineData(0x3e, 1, 0, 0, 0, 0)]
    [InlineData(0x3f, 1, 0, 0, 0, 0)]
    public void A_register_of_a_function_has_its_rules(int offset, int bytes, uint passed, uint shadowed, uint shown, uint cleared)
    {
        Register register = Assert.Single(HeaderTable.Type0, register => register.Offset == offset);
        Assert.Equal(bytes, register.Bytes);
        Assert.Equal(passed, register.MaskOf(PassedThrough));
        Assert.Equal(shadowed, register.MaskOf(Virtual));
        Assert.Equal(shown, register.MaskOf(VirtualFixed));
        Assert.Equal(cleared, register.MaskOf(WriteOneToClear));
    }

    [Fact]
    public void There_are_26_registers_in_a_function_and_no_write_clears_an_error_in_Status()
    {
        Assert.Equal(26, HeaderTable.Type0.Count);
        Assert.Equal(0xf900u, HeaderTable.Type0.Single(register => register.Offset == 6).MaskOf(FixedStatus));
    }

    [Fact]
    public void A_bridge_has_nothing_of_its_windows_to_write()
    {
        Assert.All(
            HeaderTable.Type1.Where(register => register.Offset is >= 0x18 and < 0x34 or 0x3e),
            register => Assert.Equal(0u, register.MaskOf(PassedThrough) | register.MaskOf(Virtual) | register.MaskOf(WriteOneToClear)));
        Assert.Equal(0x00ef, (int)(HeaderTable.Type1.Single(register => register.Offset == 0x3e).MaskOf(Fixed) & 0xef));
    }

    [Theory]
    [InlineData(0, 26)]
    [InlineData(0x80, 26)]
    [InlineData(1, 33)]
    [InlineData(2, 11)]
    [InlineData(0x7f, 11)]
    public void The_layout_chooses_the_registers(byte headerType, int count)
    {
        MadeFunction function = new();
        function.Bytes[0x0e] = headerType;
        Assert.Equal(count, HeaderTable.Of(function.Space).Count);
    }

    [Fact]
    public void Registers_lie_apart_and_in_order()
    {
        foreach (IReadOnlyList<Register> header in (IReadOnlyList<Register>[])[HeaderTable.Type0, HeaderTable.Type1])
        {
            Assert.All(header.Zip(header.Skip(1)), pair => Assert.True(pair.First.Offset + pair.First.Bytes <= pair.Second.Offset));
            Assert.True(header[^1].Offset + header[^1].Bytes == 0x40);
        }
    }
}
