using Vfio.Pci;
using static Vfio.Pci.BitRule;

namespace Vfio.Tests.Pci;

/// <summary>What of each capability reaches the hardware, and what the guard keeps; transcribed a second time.</summary>
public sealed class CapabilityRuleTests
{
    [Theory]
    // id, bytes from offset 2 on, register, passed through, virtual, cleared by writing 1, never written as 1
    [InlineData(0x01, "", 0x04, 0x1e00, 0x0003, 0x0000, 0x8000)]
    [InlineData(0x03, "", 0x02, 0x7fff, 0x0000, 0x0000, 0x8000)]
    [InlineData(0x03, "", 0x04, 0x0000, 0x0000, 0x0000, 0x0000)]
    [InlineData(0x05, "80 01", 0x02, 0x0000, 0x0471, 0x0000, 0x0000)]
    [InlineData(0x05, "80 01", 0x04, 0x0000, 0xffffffff, 0x0000, 0x0000)]
    [InlineData(0x05, "80 01", 0x08, 0x0000, 0xffffffff, 0x0000, 0x0000)]
    [InlineData(0x05, "80 01", 0x0c, 0x0000, 0xffff, 0x0000, 0x0000)]
    [InlineData(0x05, "80 01", 0x10, 0x0000, 0xffffffff, 0x0000, 0x0000)]
    [InlineData(0x05, "80 01", 0x14, 0x0000, 0x0000, 0x0000, 0x0000)]
    [InlineData(0x05, "00 00", 0x08, 0x0000, 0xffff, 0x0000, 0x0000)]
    [InlineData(0x07, "00 10", 0x02, 0x007f, 0x0000, 0x0000, 0x0000)]
    [InlineData(0x07, "00 10", 0x04, 0x0000, 0x0000, 0x0000, 0x200c0000)]
    [InlineData(0x07, "00 10", 0x08, 0xffffffff, 0x0000, 0x0000, 0x0000)]
    [InlineData(0x09, "08", 0x02, 0x00, 0x00, 0x00, 0x00)]
    [InlineData(0x09, "08", 0x03, 0xff, 0x00, 0x00, 0x00)]
    [InlineData(0x09, "08", 0x04, 0xffffffff, 0x00, 0x00, 0x00)]
    [InlineData(0x10, "02 00", 0x08, 0x0d1f, 0xf0e0, 0x0000, 0x0000)]
    [InlineData(0x10, "02 00", 0x0a, 0x0000, 0x0000, 0x004f, 0x0000)]
    [InlineData(0x10, "02 00", 0x10, 0x0000, 0x0000, 0x0000, 0x0000)]
    [InlineData(0x10, "02 00", 0x12, 0x0000, 0x0000, 0x0000, 0xc000)]
    [InlineData(0x10, "02 00", 0x28, 0xf7df, 0x0000, 0x0000, 0x0000)]
    [InlineData(0x10, "42 01", 0x18, 0x0000, 0x0000, 0x0000, 0x0000)]
    [InlineData(0x10, "42 01", 0x1a, 0x0000, 0x0000, 0x0000, 0x011f)]
    [InlineData(0x10, "42 01", 0x1c, 0x0000, 0x0000, 0x0000, 0x0000)]
    [InlineData(0x11, "", 0x02, 0x0000, 0xc000, 0x0000, 0x0000)]
    [InlineData(0x11, "", 0x04, 0x0000, 0x0000, 0x0000, 0x0000)]
    [InlineData(0x13, "", 0x04, 0x00, 0x01, 0x00, 0x00)]
    public void A_standard_register_has_its_rules(byte id, string hex, int offset, uint passed, uint shadowed, uint cleared, uint never)
    {
        MadeFunction function = new MadeFunction(256).Standard(0x50, id, hex);
        AssertRules(function.Read().Items[0], offset, passed, shadowed, cleared, never);
    }

    [Theory]
    // id, bytes from offset 4 on, register, passed through, cleared by writing 1, never written as 1
    [InlineData(0x01, "", 0x04, 0, 0xfffff030, 0)]
    [InlineData(0x01, "", 0x08, 0xfffff030, 0, 0)]
    [InlineData(0x01, "", 0x0c, 0xfffff030, 0, 0)]
    [InlineData(0x01, "", 0x10, 0, 0xf1c1, 0)]
    [InlineData(0x01, "", 0x14, 0xf1c1, 0, 0)]
    [InlineData(0x01, "", 0x18, 0x0140, 0, 0)]
    [InlineData(0x01, "", 0x1c, 0, 0, 0)]
    [InlineData(0x04, "", 0x04, 0xff, 0, 0)]
    [InlineData(0x0b, "00 00 00 01", 0x0c, 0xffffffff, 0, 0)]
    [InlineData(0x13, "", 0x06, 0, 0, 0x0003)]
    [InlineData(0x23, "34 12 00 01", 0x0c, 0xffffffff, 0, 0)]
    [InlineData(0x23, "98 1e 40 01 08 00", 0x0c, 0, 0, 0)]
    public void An_extended_register_has_its_rules(ushort id, string hex, int offset, uint passed, uint cleared, uint never)
    {
        MadeFunction function = MadeFunction.Express().Extended(0x100, id, 1, hex);
        AssertRules(function.Read().Items[1], offset, passed, 0, cleared, never);
    }

    [Theory]
    [InlineData(0x02)] // virtual channels
    [InlineData(0x03)] // serial number
    [InlineData(0x0d)] // access control
    [InlineData(0x0e)] // alternative routing ids
    [InlineData(0x0f)] // address translation
    [InlineData(0x10)] // virtual functions
    [InlineData(0x15)] // resizable BARs
    [InlineData(0x16)] // power allocation
    [InlineData(0x17)] // processing hints
    [InlineData(0x18)] // latency tolerance
    [InlineData(0x1b)] // process address spaces
    [InlineData(0x1d)] // port containment
    [InlineData(0x1f)] // time measurement
    [InlineData(0x2e)] // data object exchange
    [InlineData(0x30)] // encryption
    public void Nothing_of_it_is_the_users_to_write(ushort id)
    {
        MadeFunction function = MadeFunction.Express().Extended(0x100, id, 1, "ffffffff");
        Assert.All(
            function.Read().Items[1].Registers,
            register => Assert.Equal(0u, register.MaskOf(PassedThrough) | register.MaskOf(Virtual) | register.MaskOf(WriteOneToClear)));
    }

    [Fact]
    public void The_guard_may_leave_any_capability_out_of_a_list()
    {
        CapabilityList list = MadeFunction.Express().Extended(0x100, 0x03, 1).Read();
        Assert.Equal(0xffu, list.Items[0].Registers[1].MaskOf(VirtualFixed));
        Assert.Equal(0xffffffffu, list.Items[1].Registers[0].MaskOf(VirtualFixed));
    }

    private static string Hex(uint[] masks) => string.Join(' ', masks.Select(mask => $"{mask:x8}"));

    private static void AssertRules(Capability capability, int offset, uint passed, uint shadowed, uint cleared, uint never)
    {
        Register register = Assert.Single(capability.Registers, register => register.Offset == offset);
        uint[] found = [.. new[] { PassedThrough, Virtual, WriteOneToClear, FixedStatus }.Select(register.MaskOf)];
        Assert.Equal(Hex([passed, shadowed, cleared, never]), Hex(found));
    }
}
