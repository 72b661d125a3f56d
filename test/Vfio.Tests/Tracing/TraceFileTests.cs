using System.Buffers.Binary;
using System.Text.Json;
using Vfio.Devices.Edu;
using Vfio.Drivers.Edu;
using Vfio.Guard;
using Vfio.Tests.Fuzz.Targets;
using Vfio.Tracing;
using Vfio.Tracing.Names;
using Vfio.Tracing.Text;

namespace Vfio.Tests.Tracing;

/// <summary>Trace files: what is read is what was written, and a file that somebody spoiled harms nobody.</summary>
public sealed class TraceFileTests
{
    private static readonly byte[] Trace = Make();

    [Fact]
    public void A_file_begins_with_its_kind_version_and_sizes()
    {
        // As docs/look.md has it.
        Assert.Equal("VFIOTRC\n"u8.ToArray(), Trace[..8]);
        Assert.Equal((1u, 64u, 48u), (Number(8), Number(12), Number(16)));
        Assert.Equal(0, (Trace.Length - 64) % 48);

        static uint Number(int at) => BinaryPrimitives.ReadUInt32LittleEndian(Trace.AsSpan(at));
    }

    [Fact]
    public void A_file_that_is_cut_anywhere_is_read_up_to_there()
    {
        TraceEvent[] whole = TraceRig.Read(Trace);
        for (int length = 64; length < Trace.Length; length += 7)
        {
            using TraceReader reader = new(new MemoryStream(Trace[..length]), "cut");
            TraceEvent[] read = [.. reader.ReadAll()];
            Assert.Equal(whole.Take(read.Length).Select(one => (one.Kind, one.Nanoseconds, one.Value)), read.Select(one => (one.Kind, one.Nanoseconds, one.Value)));
            Assert.True(reader.IsCut || (length - 64) % 48 == 0);
        }

        for (int length = 0; length < 64; length++)
        {
            VfioException refusal = Assert.Throws<VfioException>(() => new TraceReader(new MemoryStream(Trace[..length]), "cut"));
            Assert.Equal(Errno.InvalidArgument, refusal.Errno);
        }
    }

    [Fact]
    public void A_newer_version_is_refused_and_says_so()
    {
        byte[] newer = [.. Trace];
        newer[8] = 2;
        VfioException refusal = Assert.Throws<VfioException>(() => new TraceReader(new MemoryStream(newer), "newer"));
        Assert.Equal(Errno.NotSupported, refusal.Errno);
        Assert.Contains("version 2", refusal.Message);
    }

    [Fact]
    public void A_file_with_changed_bytes_is_read_to_some_end()
    {
        Random random = new(14);
        for (int i = 0; i < 2000; i++)
        {
            byte[] changed = [.. Trace];
            for (int j = 0; j < 8; j++)
                changed[random.Next(changed.Length)] = (byte)random.Next(256);
            TraceTarget.Run(changed);
        }
    }

    [Fact]
    public void Registers_and_fields_are_named_in_lines()
    {
        List<string> lines = [];
        NamedEvents events = new((one, names) => lines.Add(TraceText.What(one, names)), () => { }, default);
        foreach (TraceEvent one in TraceRig.Read(Trace))
            events.Write(one);
        // COMMAND as lspci names it, and the registers of QEMU's docs/specs/edu.rst.
        Assert.Contains(lines, line => line.StartsWith("write     config 0x0004 Control = 0x", StringComparison.Ordinal) && line.Contains("Mem BusMaster"));
        Assert.Contains(lines, line => line.StartsWith("read      bar0 0x0000 Identification = 0x010000ed", StringComparison.Ordinal));
        Assert.Contains("set-irq   MSI bind 0, 1 eventfds", lines);
        Assert.Contains("irq       MSI 0", lines);
        Assert.Contains(lines, line => line.StartsWith("dma-write 0x", StringComparison.Ordinal));
    }

    [Fact]
    public void Of_a_file_the_same_can_be_chosen_as_of_a_device()
    {
        TraceEvent[] whole = TraceRig.Read(Trace);
        TraceEvent[] bar = [.. whole.Where(one => one.Kind is TraceEventKind.Read or TraceEventKind.Write && one.Region == RegionIndex.Bar0)];
        Assert.Equal(bar, Chosen(new TraceOptions { Filter = TraceFilter.Parse("bar0") }).Where(one => one.Kind is TraceEventKind.Read or TraceEventKind.Write));
        TraceEvent irq = whole.First(one => one.Kind == TraceEventKind.Interrupt);
        Assert.Equal(irq, Chosen(new TraceOptions { Stop = TraceTrigger.Parse("irq") })[^1]);
        Assert.Equal(irq, Chosen(new TraceOptions { Start = TraceTrigger.Parse("irq") }).First(one => one.Kind > TraceEventKind.AddressRange));
        Assert.Equal(whole[^3..], Chosen(new TraceOptions { Last = 3 })[^3..]);

        TraceEvent[] Chosen(TraceOptions options) => [.. ChosenEvents.Of(whole, options)];
    }

    [Fact]
    public void A_port_of_igb_has_the_names_of_its_data_sheet_by_its_ids()
    {
        // Intel 82576: 8086:10c9; IMS is at 0x1508.
        byte[] config = new byte[64];
        BinaryPrimitives.WriteUInt32LittleEndian(config, 0x10c98086);
        Assert.Equal("InterruptMaskSet", RegisterNames.For(config).Find(RegionIndex.Bar0, 0x1508));
    }

    [Fact]
    public void A_users_table_names_registers_and_fields()
    {
        byte[] table = """
            {
              // comments are fine
              "registers": [
                { "region": "bar0", "offset": "0x20", "name": "STATE", "fields": { "BUSY": "0", "MODE": "6:4", "IE": 7 } },
                { "region": "bar0", "offset": 256, "bytes": 2, "name": "RING", "count": 4, "stride": 8 },
              ],
            }
            """u8.ToArray();
        RegisterNames names = RegisterNames.For(default, table);
        Assert.Equal("STATE", names.Find(RegionIndex.Bar0, 0x20));
        Assert.Equal("STATE+2", names.Find(RegionIndex.Bar0, 0x22));
        Assert.Equal("BUSY MODE=0x5 IE", names.FieldsOf(RegionIndex.Bar0, 0x20, 4, 0xd1));
        Assert.Equal("RING[3]", names.Find(RegionIndex.Bar0, 0x118));
        Assert.Null(names.Find(RegionIndex.Bar0, 0x11a));
    }

    [Fact]
    public void A_users_name_comes_before_the_data_sheets_in_every_session()
    {
        byte[] table = """{"registers": [{"region": "bar0", "offset": "0x1508", "name": "MINE"}]}"""u8.ToArray();
        byte[] config = new byte[64];
        BinaryPrimitives.WriteUInt32LittleEndian(config, 0x10c98086);
        NamedEvents events = new((_, _) => { }, () => { }, table);
        foreach (ushort session in new ushort[] { 1, 2 })
        {
            Vfio.Tracing.Format.TraceRecord record = new() { Kind = TraceEventKind.ConfigSpace, Session = session, Length = 64 };
            events.Write(record, config);

            // Intel 82576: IMC is at 0x150c.
            Assert.Equal("MINE", events.NamesOf(session).Find(RegionIndex.Bar0, 0x1508));
            Assert.Equal("InterruptMaskClear", events.NamesOf(session).Find(RegionIndex.Bar0, 0x150c));
        }

        Assert.Equal("MINE", events.NamesOf(3).Find(RegionIndex.Bar0, 0x1508));
    }

    [Theory]
    [InlineData("", "line 1")]
    [InlineData("[]", "no object")]
    [InlineData("{}", "no list")]
    [InlineData("""{"registers": [{"region": "bar7", "offset": 0, "name": "A"}]}""", "registers[0]: region")]
    [InlineData("""{"registers": [{"region": "bar0", "name": "A"}]}""", "registers[0] has no offset")]
    [InlineData("""{"registers": [{"region": "\ud800", "offset": 0, "name": "A"}]}""", "no Unicode")]
    [InlineData("""{"registers": [{"region": "bar0", "offset": 0, "name": "\udfff"}]}""", "no Unicode")]
    [InlineData("""{"registers": [{"region": "bar0", "offset": 0, "name": "A", "colour": 1}]}""", "'colour'")]
    [InlineData("""{"registers": [{"region": "bar0", "offset": 0, "name": "A", "fields": {"X": "32"}}]}""", "field 'X'")]
    [InlineData("""{"registers": [{"region": "bar0", "offset": 0, "name": "A", "count": 4000000000}]}""", "count")]
    [InlineData("""{"registers": [{"region": "bar0", "offset": "0xffffffffffffffff", "name": "A"}]}""", "overlap or wrap")]
    public void What_is_wrong_in_a_table_is_told_with_its_place(string json, string why)
    {
        FormatException refusal = Assert.Throws<FormatException>(() => RegisterTable.Parse(System.Text.Encoding.UTF8.GetBytes(json)));
        Assert.Contains(why, refusal.Message);
    }

    [Fact]
    public void The_schema_of_tables_is_json_and_has_the_members_that_are_read()
    {
        using JsonDocument schema = JsonDocument.Parse(RegisterTable.Schema);
        JsonElement register = schema.RootElement.GetProperty("$defs").GetProperty("register").GetProperty("properties");
        Assert.Equal(["region", "offset", "bytes", "name", "count", "stride", "fields"], register.EnumerateObject().Select(member => member.Name));
    }

    /// <summary>The trace of a driver of edu; a seed of the fuzzer is such a file.</summary>
    private static byte[] Make()
    {
        using TraceRig rig = new(new TraceOptions { SeesDma = true, MaxDataBytes = 4096 });
        using GuardedFunction guard = new(new EduFunction());
        using (EduDriver edu = new(new TracedDevice(guard.Open(), rig.Trace)))
        using (DmaBuffer memory = edu.Device.AllocateDma(4096))
        {
            edu.Identify();
            edu.Factorial(5);
            edu.CopyToDevice(memory, 0, 100);
            edu.CopyFromDevice(memory, 200, 100);
        }

        return rig.End();
    }
}
