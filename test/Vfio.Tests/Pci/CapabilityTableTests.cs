using System.Globalization;
using Vfio.Pci;
using Vfio.Pci.Capabilities;

namespace Vfio.Tests.Pci;

/// <summary>Sizes and registers of every capability, transcribed a second time from the specifications.</summary>
public sealed class CapabilityTableTests
{
    [Theory]
    // id, bytes from offset 2 on, size, offset and width of each register after the header
    [InlineData(0x00, "", 4, "")]
    [InlineData(0x01, "", 8, "02.2 04.2 06.1 07.1")]
    [InlineData(0x02, "30 00", 12, "02.1 04.4 08.4")]
    [InlineData(0x03, "", 8, "02.2 04.4")]
    [InlineData(0x04, "", 4, "02.1 03.1")]
    [InlineData(0x05, "00 00", 10, "02.2 04.4 08.2")]
    [InlineData(0x05, "80 00", 14, "02.2 04.4 08.4 0c.2")]
    [InlineData(0x05, "00 01", 20, "02.2 04.4 08.2 0a.2 0c.4 10.4")]
    [InlineData(0x05, "80 01", 24, "02.2 04.4 08.4 0c.2 0e.2 10.4 14.4")]
    [InlineData(0x06, "", 4, "02.1")]
    [InlineData(0x07, "00 00", 8, "02.2 04.4")]
    [InlineData(0x07, "00 10", 24, "02.2 04.4 08.4 0c.4 10.4 14.4")]
    [InlineData(0x08, "00 a8", 12, "02.2 04.4 08.4")]
    [InlineData(0x08, "02 a8", 4, "02.2")]
    [InlineData(0x08, "00 20", 24, "02.2 04.2 06.2 08.1 09.1 0a.2 0c.2 10.2 12.2 14.1 15.1")]
    [InlineData(0x08, "00 00", 28, "02.2 04.2 06.2 08.2 0a.2 0c.1 0d.1 0e.2 10.1 11.1 12.2 14.2 16.2 18.1 19.1 1a.1")]
    [InlineData(0x09, "0b", 11, "02.1 03.1 04.4 08.2 0a.1")]
    [InlineData(0x0a, "", 4, "02.2")]
    [InlineData(0x0b, "", 4, "")]
    [InlineData(0x0c, "", 8, "02.1 03.1 04.4")]
    [InlineData(0x0d, "", 8, "04.2 06.2")]
    [InlineData(0x0e, "", 4, "02.1")]
    [InlineData(0x0f, "03 00", 20, "02.2 04.4 08.4 0c.4 10.4")]
    [InlineData(0x0f, "03 10", 24, "02.2 04.4 08.4 0c.4 10.4 14.4")]
    [InlineData(0x10, "01 00", 20, "02.2 04.4 08.2 0a.2 0c.4 10.2 12.2")]
    [InlineData(0x10, "91 00", 12, "02.2 04.4 08.2 0a.2")]
    [InlineData(0x10, "41 01", 36, "02.2 04.4 08.2 0a.2 0c.4 10.2 12.2 14.4 18.2 1a.2 1c.2 1e.2 20.4")]
    [InlineData(0x10, "02 00", 52, "02.2 04.4 08.2 0a.2 0c.4 10.2 12.2 24.4 28.2 2a.2 2c.4 30.2 32.2")]
    [InlineData(0x10, "92 00", 44, "02.2 04.4 08.2 0a.2 24.4 28.2 2a.2")]
    [InlineData(0x10, "62 01", 60, "02.2 04.4 08.2 0a.2 0c.4 10.2 12.2 14.4 18.2 1a.2 24.4 28.2 2a.2 2c.4 30.2 32.2 34.4 38.2 3a.2")]
    [InlineData(0x11, "", 12, "02.2 04.4 08.4")]
    [InlineData(0x12, "10 00 48 00 00 00", 8, "02.2 04.4")]
    [InlineData(0x12, "10 00 0f 00 00 00", 16, "02.2 04.4 08.4 0c.4")]
    [InlineData(0x13, "06", 6, "02.1 03.1 04.1 05.1")]
    [InlineData(0x14, "01 00 03", 20, "02.1 04.4 08.4 0c.4")]
    [InlineData(0x14, "02 00 02000080 00000000 00000000 02", 28, "02.1 04.4 08.4 0c.4 10.4 14.4 18.4")]
    [InlineData(0x15, "", 36, "04.4 08.4 0c.4 10.4 14.4 18.4 1c.4 20.4")]
    public void A_standard_capability_has_its_registers(byte id, string hex, int length, string registers)
    {
        MadeFunction function = new MadeFunction(256).Standard(0x50, id, hex);
        AssertLayout(function.Read().Items[0], id, isExtended: false, length, registers);
    }

    [Theory]
    // id, bytes from offset 4 on, size, offset and width of each register after the header
    [InlineData(0x00, "", 4, "")]
    [InlineData(0x01, "", 44, "04.4 08.4 0c.4 10.4 14.4 18.4 1c.4 20.4 24.4 28.4")]
    [InlineData(0x02, "", 28, "04.4 08.4 0c.2 0e.2 10.4 14.4 1a.2")]
    // Two channels; 32 phases of 4 bits at 0x30; for the first channel 128 phases of 2 bits at 0x40.
    [InlineData(0x02, "01 04 00 00 02 00 00 03 00000000 08 00 00 04", 96,
        "04.4 08.4 0c.2 0e.2 10.4 14.4 1a.2 1c.4 20.4 26.2 30.4 34.4 38.4 3c.4 40.4 44.4 48.4 4c.4 50.4 54.4 58.4 5c.4")]
    [InlineData(0x03, "", 12, "04.4 08.4")]
    [InlineData(0x04, "", 16, "04.1 08.4 0c.1")]
    [InlineData(0x05, "00 02 00 00", 48, "04.4 10.4 18.4 1c.4 20.4 28.4 2c.4")]
    [InlineData(0x06, "", 12, "04.4 08.2 0a.2")]
    [InlineData(0x07, "", 8, "04.4")]
    [InlineData(0x08, "", 28, "04.4 08.4 0c.2 0e.2 10.4 14.4 1a.2")]
    [InlineData(0x09, "", 28, "04.4 08.4 0c.2 0e.2 10.4 14.4 1a.2")]
    [InlineData(0x0a, "", 20, "04.2 06.2 08.4 0c.4")]
    [InlineData(0x0b, "01 00 00 01", 16, "04.4 08.4 0c.4")]
    [InlineData(0x0c, "", 8, "04.4")]
    [InlineData(0x0d, "", 8, "04.2 06.2")]
    [InlineData(0x0d, "20 21", 16, "04.2 06.2 08.4 0c.4")]
    [InlineData(0x0e, "", 8, "04.2 06.2")]
    [InlineData(0x0f, "", 8, "04.2 06.2")]
    [InlineData(0x10, "", 64, "04.4 08.2 0a.2 0c.2 0e.2 10.2 12.1 14.2 16.2 1a.2 1c.4 20.4 24.4 28.4 2c.4 30.4 34.4 38.4 3c.4")]
    [InlineData(0x12, "", 40, "04.2 06.2 08.4 0c.4 10.4 14.4 18.4 1c.4 20.4 24.4")]
    [InlineData(0x13, "", 16, "04.2 06.2 08.4 0c.4")]
    [InlineData(0x15, "00000000 40", 20, "04.4 08.4 0c.4 10.4")]
    [InlineData(0x16, "02", 19, "04.4 08.4 0c.2 0e.2 10.1 11.1 12.1")]
    [InlineData(0x17, "", 12, "04.4 08.4")]
    [InlineData(0x17, "00 02 01 00", 16, "04.4 08.4 0c.2 0e.2")]
    [InlineData(0x18, "", 8, "04.2 06.2")]
    [InlineData(0x19, "", 20, "04.4 08.4 0c.2 0e.2 10.2 12.2")]
    [InlineData(0x1a, "02", 24, "04.4 08.4 0c.4 10.4 14.4")]
    [InlineData(0x1b, "", 8, "04.2 06.2")]
    [InlineData(0x1c, "", 8, "04.2 06.2")]
    [InlineData(0x1d, "", 12, "04.2 06.2 08.2 0a.2")]
    [InlineData(0x1d, "20 05", 52, "04.2 06.2 08.2 0a.2 0c.4 10.4 14.4 18.4 1c.4 20.4 24.4 28.4 2c.4 30.4")]
    [InlineData(0x1e, "", 16, "04.4 08.4 0c.4")]
    [InlineData(0x1e, "20", 20, "04.4 08.4 0c.4 10.4")]
    [InlineData(0x1f, "", 12, "04.4 08.4")]
    [InlineData(0x21, "", 16, "04.4 08.2 0a.2 0c.4")]
    [InlineData(0x22, "", 12, "04.4 08.4")]
    [InlineData(0x23, "34 12 10 01", 17, "04.4 08.2 0a.2 0c.4 10.1")]
    [InlineData(0x24, "00000000 20", 12, "04.4 08.4")]
    [InlineData(0x25, "", 12, "04.4 08.4")]
    [InlineData(0x26, "", 36, "04.4 08.4 0c.4 10.4 14.4 18.4 20.1 21.1 22.1 23.1")]
    [InlineData(0x27, "", 24, "04.2 06.2 08.2 0a.2 0c.2 0e.2 10.2 12.2 14.2 16.2")]
    [InlineData(0x28, "", 32, "04.4 08.4 0c.4 10.4 14.4 18.4 1c.4")]
    [InlineData(0x29, "", 16, "04.4 08.4 0c.4")]
    [InlineData(0x2a, "", 36, "04.4 08.4 0c.4 10.4 14.4 18.4 1c.4 20.1 21.1 22.1 23.1")]
    [InlineData(0x2b, "", 20, "04.4 08.4 0c.4 10.4")]
    [InlineData(0x2b, "00 01", 24, "04.4 08.4 0c.4 10.4 14.4")]
    [InlineData(0x2c, "", 20, "04.2 06.2 08.2 0c.4 10.4")]
    [InlineData(0x2d, "", 28, "04.4 08.4 0c.4 10.4 14.4 18.4")]
    [InlineData(0x2e, "", 24, "04.4 08.4 0c.4 10.4 14.4")]
    [InlineData(0x2f, "", 16, "04.4 08.2 0c.2")]
    [InlineData(0x30, "", 12, "04.4 08.4")]
    [InlineData(0x30, "03 20 00 00 00000000 00000000 00000000 00000000 00000000 01", 60,
        "04.4 08.4 0c.4 10.4 14.4 18.4 1c.4 20.4 24.4 28.4 2c.4 30.4 34.4 38.4")]
    [InlineData(0x31, "", 20, "04.4 08.4 0c.4 10.1 11.1 12.1 13.1")]
    [InlineData(0x32, "", 60, "04.4 08.4 0c.2 0e.2 10.4 14.4 18.4 1c.4 20.4 24.4 28.4 2c.4 30.4 34.4 38.4")]
    [InlineData(0x33, "", 36, "04.4 08.4 0c.4 10.4 14.4 18.4 1c.4 20.4")]
    [InlineData(0x34, "", 36, "04.4 08.4 0c.4 10.4 14.4 18.4 1c.4 20.4")]
    [InlineData(0x35, "01", 44, "04.4 08.4 0c.4 10.4 14.4 18.4 1c.4 20.4 24.4 28.4")]
    [InlineData(0x36, "18", 24, "04.4 08.4 0c.4 10.4 14.4")]
    [InlineData(0x37, "", 20, "04.4 08.4 0c.4 10.4")]
    public void An_extended_capability_has_its_registers(ushort id, string hex, int length, string registers)
    {
        MadeFunction function = MadeFunction.Express().Extended(0x100, id, 1, hex);
        AssertLayout(function.Read().Items[1], id, isExtended: true, length, registers);
    }

    [Fact]
    public void Ports_of_the_root_have_more_of_error_reporting()
    {
        MadeFunction port = MadeFunction.Express("42 00").Extended(0x100, 0x01, 2);
        Assert.Equal(0x38, port.Read().Items[1].LengthBytes);
        // DevCap2: End-End TLP Prefix Supported.
        port.Bytes[0x40 + 0x26] = 0x20;
        Assert.Equal(0x48, port.Read().Items[1].LengthBytes);
    }

    [Fact]
    public void Every_assigned_id_has_a_name()
    {
        Assert.All(Enumerable.Range(0x00, 0x16), id => Assert.NotNull(CapabilityCatalog.Find((ushort)id, isExtended: false)));
        Assert.All(Enumerable.Range(0x00, 0x3b), id => Assert.NotNull(CapabilityCatalog.Find((ushort)id, isExtended: true)));
        Assert.Null(CapabilityCatalog.Find(0x16, isExtended: false));
        Assert.Null(CapabilityCatalog.Find(0x3b, isExtended: true));
    }

    [Fact]
    public void Random_instances_have_their_registers_apart_in_order_and_inside()
    {
        Random random = new(1);
        foreach (CapabilityTable table in Enumerable.Repeat(CapabilityCatalog.All, 20).SelectMany(all => all))
        {
            MadeFunction function = MadeFunction.Express($"{random.Next(3) | (random.Next(11) << 4):x2} 01");
            random.NextBytes(function.Bytes.AsSpan(table.IsExtended ? 0x100 : 0x80));
            int start = table.IsExtended ? 0x100 : 0x80;
            CapabilityLayout layout = table.Layout(new CapabilityView(function.Space, start));
            Assert.All(
                layout.Registers.Zip(layout.Registers.Skip(1)),
                pair => Assert.True(pair.First.Offset + pair.First.Bytes <= pair.Second.Offset, $"{table.Name}: {pair.Second.Name}"));
            Assert.All(layout.Registers, register => Assert.InRange(register.Offset + register.Bytes, 0, layout.LengthBytes));
            Assert.Equal(layout.Registers.Count, layout.Registers.DistinctBy(register => register.Name).Count());
        }
    }

    private static void AssertLayout(Capability capability, ushort id, bool isExtended, int length, string registers)
    {
        Assert.Equal((id, isExtended), (capability.Id, capability.IsExtended));
        Assert.Equal(length, capability.LengthBytes);
        int header = isExtended ? 4 : 2;
        string found = string.Join(' ', capability.Registers
            .Where(register => register.Offset >= header)
            .Select(register => string.Create(CultureInfo.InvariantCulture, $"{register.Offset:x2}.{register.Bytes}")));
        Assert.Equal(registers, found);
    }
}
