using System.Buffers.Binary;
using System.Text;
using Vfio.Guard;
using Vfio.Native;

namespace Vfio.Tests.Driver;

/// <summary>The self-describing table of a device, read by a reader of the test's own, from docs/table.md alone.</summary>
public sealed class DeviceTableTests
{
    [Fact]
    public void A_table_is_its_head_and_records_in_each_other()
    {
        byte[] table = WriteTable();
        Assert.Equal("VFIOTABL", Encoding.ASCII.GetString(table, 0, 8));
        Assert.Equal(1, BinaryPrimitives.ReadUInt16LittleEndian(table.AsSpan(8)));
        Assert.Equal(16, BinaryPrimitives.ReadUInt16LittleEndian(table.AsSpan(10)));
        Assert.Equal(table.Length, BinaryPrimitives.ReadInt32LittleEndian(table.AsSpan(12)));
        List<(string Type, byte[] Content, string? Name)> records = [];
        Walk(table.AsSpan(16), records);
        Assert.Equal("DEVI", records[0].Type);
        Assert.Equal("model:edu", records[0].Name);

        // edu has 9 regions and 5 kinds of interrupt, as every PCI function (linux/vfio.h), and can be reset: flags 3.
        Assert.Equal([3, 0, 0, 0, 9, 0, 0, 0, 5, 0, 0, 0], records[0].Content);

        // docs/specs/edu.rst of QEMU: BAR0 has 1 MiB.
        (_, byte[] bar, string? name) = records.First(record => record.Type == "REGN");
        Assert.Equal("BAR0", name);
        Assert.Equal(1ul << 20, BinaryPrimitives.ReadUInt64LittleEndian(bar.AsSpan(8)));

        // PCI 3.0, section 6.2.2: bit 2 of the command register is Bus Master; its user may change it.
        int command = records.FindIndex(record => record.Type == "REGI" && record.Content[0] == 4 && record.Content[4] == 2);
        (string type, byte[] master, _) = records[(command + 1)..].First(record => record.Type == "FELD" && record.Content[1] == 2);
        Assert.Equal((byte)'p', master[0]);
        Assert.Equal("FELD", type);
    }

    [Fact]
    public void A_table_says_what_the_device_says()
    {
        using IVfioDevice device = VfioDevice.Open("model:edu");
        DeviceTable table = DeviceTable.Parse(DeviceTable.Write(device));
        Assert.Equal(device.Info, table.Info);
        Assert.Equal(device.Name, table.Name);
        Assert.Equal(
            Enumerable.Range(0, 9).Select(i => device.GetRegion(new RegionIndex((uint)i))).Where(region => region.Length > 0)
                .Select(region => (region.Index, region.Length, region.Flags, string.Join(' ', region.MmapAreas))),
            table.Regions.Select(region => (region.Index, region.Length, region.Flags, string.Join(' ', region.MmapAreas))));
        Assert.Equal(
            Enumerable.Range(0, 5).Select(i => device.GetInterrupt(new InterruptIndex((uint)i))).Where(kind => kind.Count > 0),
            table.Interrupts);
    }

    [Fact]
    public void A_reader_of_today_takes_a_table_of_tomorrow()
    {
        // A version of 7, a longer head, a content with more than is known, a record type that nobody knows, with records below it.
        byte[] region = Record("REGN", [.. Numbers(0, 3), 0, 16, 0, 0, 0, 0, 0, 0, .. "more"u8], [.. Record("NAME", [.. "regs"u8]), .. Record("NEWS", [9])]);
        byte[] unknown = Record("ZZZZ", [1, 2, 3], Record("NAME", [.. "future"u8]));
        byte[] device = Record("DEVI", Numbers(0x81, 4, 2, 77), Record("NAME", [.. "tomorrow"u8]));
        DeviceTable table = DeviceTable.Parse(Table(7, headBytes: 24, [.. unknown, .. device, .. region]));
        Assert.Equal(7, table.Version);
        Assert.Equal("tomorrow", table.Name);
        Assert.Equal(new DeviceInfo((DeviceFlags)0x81, 4, 2), table.Info);
        Assert.Equal(0x1000ul, Assert.Single(table.Regions).Length);
        Assert.Equal(["ZZZZ", "DEVI", "REGN"], table.Records.Select(record => record.Type));
        Assert.Equal("future", table.Records[0].TextOf("NAME"));
    }

    [Fact]
    public void An_old_writers_shorter_content_reads_as_zero()
    {
        DeviceTable table = DeviceTable.Parse(Table(1, 16, Record("DEVI", Numbers(2))));
        Assert.Equal(new DeviceInfo(DeviceFlags.Pci, 0, 0), table.Info);
        Assert.Equal("", table.Name);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(15)]
    [InlineData(16 + 8)]
    public void A_table_that_is_cut_off_is_refused(int bytes) => AssertRefused(Table(1, 16, Record("DEVI", Numbers(2)))[..bytes]);

    [Fact]
    public void Lengths_that_contradict_each_other_are_refused()
    {
        byte[] record = Record("DEVI", Numbers(2));
        foreach ((int at, uint length) in new[] { (4, 0u), (4, 15u), (4, 20u), (4, 32u), (4, uint.MaxValue), (8, 9u), (8, uint.MaxValue) })
        {
            byte[] wrong = [.. record];
            BinaryPrimitives.WriteUInt32LittleEndian(wrong.AsSpan(at), length);
            AssertRefused(Table(1, 16, wrong));
        }

        byte[] head = Table(1, 16, record);
        foreach ((int at, byte value) in new[] { (0, (byte)'v'), (10, (byte)8), (10, (byte)17), (12, (byte)8), (15, (byte)1) })
        {
            byte[] wrong = [.. head];
            wrong[at] = value;
            AssertRefused(wrong);
        }

        byte[] control = Table(1, 16, Record("DE\u001bI", Numbers(2)));
        AssertRefused(control);
    }

    [Fact]
    public void Records_in_each_other_without_end_are_refused()
    {
        byte[] nest = [];
        for (int i = 0; i < 100; i++)
            nest = Record("NEST", [], nest);
        AssertRefused(Table(1, 16, nest));
    }

    [Fact]
    public void A_name_is_printable()
    {
        DeviceTable table = DeviceTable.Parse(Table(1, 16, Record("DEVI", Numbers(2), Record("NAME", [0x1b, (byte)'[', (byte)'2', (byte)'J']))));
        Assert.DoesNotContain(table.Name, char.IsControl);
    }

    [Fact]
    public void A_device_that_is_no_pci_function_has_no_config_space_in_it()
    {
        using FakeDevice device = new();
        DeviceTable table = DeviceTable.Parse(DeviceTable.Write(device));
        Assert.Equal(device.Info, table.Info);
        Assert.Equal(device.Info.Flags.HasFlag(DeviceFlags.Pci), table.Records.Any(record => record.Type == "PCIC"));
    }

    private static byte[] WriteTable()
    {
        using IVfioDevice device = VfioDevice.Open("model:edu");
        return DeviceTable.Write(device);
    }

    private static void AssertRefused(byte[] table) =>
        Assert.Equal(Errno.InvalidArgument, Assert.Throws<VfioException>(() => DeviceTable.Parse(table)).Errno);

    private static byte[] Numbers(params uint[] numbers) => [.. numbers.SelectMany(BitConverter.GetBytes)];

    private static byte[] Table(ushort version, int headBytes, byte[] records)
    {
        byte[] table = [.. "VFIOTABL"u8, .. new byte[headBytes - 8], .. records];
        BinaryPrimitives.WriteUInt16LittleEndian(table.AsSpan(8), version);
        BinaryPrimitives.WriteUInt16LittleEndian(table.AsSpan(10), (ushort)headBytes);
        BinaryPrimitives.WriteInt32LittleEndian(table.AsSpan(12), table.Length);
        return table;
    }

    private static byte[] Record(string type, byte[] content, byte[]? below = null)
    {
        byte[] record = [.. Encoding.ASCII.GetBytes(type), .. new byte[12], .. content, .. new byte[(8 - (content.Length % 8)) % 8], .. below ?? []];
        BinaryPrimitives.WriteInt32LittleEndian(record.AsSpan(4), record.Length);
        BinaryPrimitives.WriteInt32LittleEndian(record.AsSpan(8), content.Length);
        return record;
    }

    private static void Walk(ReadOnlySpan<byte> bytes, List<(string Type, byte[] Content, string? Name)> records)
    {
        while (bytes.Length > 0)
        {
            int length = BinaryPrimitives.ReadInt32LittleEndian(bytes[4..]), content = BinaryPrimitives.ReadInt32LittleEndian(bytes[8..]);
            List<(string Type, byte[] Content, string? Name)> below = [];
            Walk(bytes[(16 + ((content + 7) & ~7))..length], below);
            string? name = below.Count > 0 && below[0].Type == "NAME" ? Encoding.UTF8.GetString(below[0].Content) : null;
            records.Add((Encoding.ASCII.GetString(bytes[..4]), bytes.Slice(16, content).ToArray(), name));
            records.AddRange(below);
            bytes = bytes[length..];
        }
    }
}
