using Vfio.Pci;
using Vfio.Pci.Capabilities;
using Vfio.Pci.Rules;
using Vfio.Tests.Pci;
using Xunit;

namespace Vfio.Tests.Guard;

public sealed class ConfigRulesTests
{
    [Fact]
    public void Masks_are_those_of_the_tables()
    {
        ConfigRules rules = new(new MadeFunction(256).Standard(0x50, 0x01).Standard(0x60, 0x10, "0200").Space);
        Assert.Equal(256, rules.Length);
        Assert.Equal(0xffffffffu, rules.Mask(BitRule.Virtual, 0x10, 4));
        Assert.Equal(0x03fcu, rules.Mask(BitRule.PassedThrough, 0x04, 2));
        Assert.Equal(0x03u, rules.Mask(BitRule.PassedThrough, 0x05, 1));
        Assert.Equal(0x0403u, rules.Mask(BitRule.Virtual, 0x04, 2));
        Assert.Equal(0xf900_0000u, rules.Mask(BitRule.FixedStatus, 0x04, 4));
        Assert.Equal(0x0003u, rules.Mask(BitRule.Virtual, 0x54, 2));
        Assert.Equal(0x000fu, rules.Mask(BitRule.WriteOneToClear, 0x6a, 2) & 0x000f);
        Assert.Equal(0xffffffffu, rules.Mask(BitRule.Fixed, 0x40, 4));
    }

    [Fact]
    public void Every_bit_has_one_rule()
    {
        Random random = new(1);
        for (int i = 0; i < 20; i++)
        {
            ConfigRules rules = new(new ConfigSpace(RandomConfig.Make(random, out _)));
            for (int offset = 0; offset < rules.Length; offset += 4)
            {
                ulong sum = Enum.GetValues<BitRule>().Aggregate(0ul, (sum, rule) => sum + rules.Mask(rule, offset, 4));
                Assert.Equal(uint.MaxValue, sum);
            }
        }
    }

    [Fact]
    public void Every_bit_knows_whose_it_is()
    {
        ConfigRules rules = new(new MadeFunction(256).Standard(0x50, 0x01).Space);
        Assert.Equal((BitRule.PassedThrough, "Header", "Control", "BusMaster"), Names(rules.At(0x04, 2)));
        Assert.Equal((BitRule.Virtual, "[50] Power Management", "Status", "PowerState"), Names(rules.At(0x54, 1)));
        Assert.Equal((BitRule.Fixed, "[50] Power Management", "Status", null), Names(rules.At(0x54, 2)));
        Assert.Equal((BitRule.Fixed, null, null, null), Names(rules.At(0x40, 0)));
        Assert.Throws<ArgumentOutOfRangeException>(() => rules.At(256, 0));

        static (BitRule Rule, string? Structure, string? Register, string? Field) Names(RuledBit bit) =>
            (bit.Rule, bit.Structure, bit.Register?.Name, bit.Field?.Name);
    }

    [Fact]
    public void Of_structures_that_overlap_the_first_in_the_list_has_the_bytes()
    {
        // MSI with 10 bytes at 0x50, Power Management from 0x54 on.
        MadeFunction function = new(256);
        function.Standard(0x50, 0x05).Standard(0x54, 0x01);
        ConfigRules rules = new(function.Space);
        string conflict = Assert.Single(rules.Conflicts);
        Assert.Equal("[54] Power Management overlaps [50] MSI, which comes first and has the bytes", conflict);
        Assert.Equal(0xffffffffu, rules.Mask(BitRule.Virtual, 0x54, 4));
        Assert.Equal(0u, rules.Mask(BitRule.PassedThrough, 0x58, 2));
        CapabilityList list = CapabilityList.Read(function.Space);
        Assert.True(rules.IsWhole(list.Items[0]));
        Assert.False(rules.IsWhole(list.Items[1]));
    }
}
