using Vfio.Pci;
using Vfio.Pci.Capabilities;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Tests.Pci;

public sealed class RegisterTests
{
    [Theory]
    [InlineData(0x01, 2)]
    [InlineData(0x02, 4)]
    [InlineData(0x04, 3)]
    [InlineData(-2, 2)]
    public void A_register_that_is_not_aligned_is_refused(int offset, int bytes) =>
        Assert.Throws<ArgumentException>(() => new Register(offset, bytes, "R"));

    [Fact]
    public void A_field_that_overlaps_another_is_refused()
    {
        Register register = new(0, 2, "R") { { "A", 3, 0, Fixed } };
        Assert.Throws<ArgumentException>(() => register.Add("B", 3, PassedThrough));
    }

    [Fact]
    public void A_field_that_leaves_its_register_is_refused() =>
        Assert.Throws<ArgumentException>(() => new Register(0, 2, "R") { { "A", 16, Fixed } });

    [Fact]
    public void The_mask_of_a_rule_has_the_bits_of_all_its_fields()
    {
        Register register = new(0, 4, "R") { { "A", 0, Virtual }, { "B", 31, 28, Virtual }, { "C", 8, 4, Fixed } };
        Assert.Equal(0xf000_0001, register.MaskOf(Virtual));
        Assert.Equal(0x0000_01f0u, register.MaskOf(Fixed));
        Assert.Equal(0u, register.MaskOf(Hidden));
    }
}
