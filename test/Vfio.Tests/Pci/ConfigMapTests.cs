using Vfio.Pci;
using Vfio.Pci.Capabilities;
using Vfio.Pci.Rules;

namespace Vfio.Tests.Pci;

/// <summary>Config space as it is drawn.</summary>
public sealed class ConfigMapTests
{
    [Fact]
    public void Every_bit_is_drawn_at_most_once_with_the_rule_that_the_guard_follows()
    {
        // A header with MSI at 0x50 and something that no structure has at 0x80.
        byte[] config = new byte[256];
        (config[0x06], config[0x34], config[0x50], config[0x80]) = (0x10, 0x50, 0x05, 0xff);
        ConfigSpace space = new(config);
        ConfigMap map = ConfigMap.Of(space);
        ConfigRules rules = new(space);
        HashSet<int> seen = [];
        foreach (MappedRegister register in map.Structures.SelectMany(structure => structure.Registers))
        {
            Assert.Equal(8 * register.Bytes, register.Parts.Sum(part => part.High - part.Low + 1));
            foreach (MappedBits part in register.Parts)
            {
                for (int bit = part.Low; bit <= part.High; bit++)
                {
                    int at = (8 * register.Offset) + bit;
                    Assert.True(seen.Add(at), $"bit {at} twice");
                    Assert.NotEqual(0u, rules.Mask(part.Rule, at / 8, 1) >> (at % 8) & 1);
                }
            }
        }

        Assert.Equal(["Header", "[50] MSI", "Outside of all structures"], map.Structures.Select(structure => structure.Name));
        Assert.Equal([(0x80, 4)], map.Structures[2].Registers.Select(register => (register.Offset, register.Bytes)));
        Assert.All(Enumerable.Range(0, 8 * 0x40), bit => Assert.Contains(bit, seen));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(64)]
    [InlineData(255)]
    [InlineData(4096)]
    public void Any_bytes_are_drawn(int length)
    {
        Random random = new(length);
        for (int i = 0; i < 200; i++)
        {
            byte[] config = new byte[length];
            random.NextBytes(config);
            ConfigMap map = ConfigMap.Of(new ConfigSpace(config));
            Assert.All(map.Structures.SelectMany(structure => structure.Registers), register => Assert.InRange(register.Offset + register.Bytes, 1, length));
        }
    }

    // PCI Express Base 6.0, PCI Local Bus 3.0.
    [Theory]
    [InlineData(0x05, false, "PCI Express Base 6.0, section 7.7.1")]
    [InlineData(0x11, false, "PCI Express Base 6.0, section 7.7.2")]
    [InlineData(0x0d, true, "PCI Express Base 6.0, section 7.7.11")]
    [InlineData(0x27, true, "PCI Express Base 6.0, section 7.7.10")]
    [InlineData(0x10, true, "PCI Express Base 6.0, section 9.3.3")]
    public void A_capability_names_its_section(ushort id, bool isExtended, string section) =>
        Assert.Equal(section, SpecificationSections.Find(id, isExtended));

    [Fact]
    public void Every_kind_with_registers_names_its_section()
    {
        IEnumerable<CapabilityTable> undescribed = CapabilityCatalog.All
            .Where(table => !(table.IsExtended && table.Id is 0x11 or 0x14 or 0x20 or 0x38 or 0x39 or 0x3a) && table.Name != "Null");
        Assert.All(undescribed, table => Assert.NotNull(SpecificationSections.Find(table.Id, table.IsExtended)));
    }
}
