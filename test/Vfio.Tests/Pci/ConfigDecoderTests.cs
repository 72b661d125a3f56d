using FsCheck;
using FsCheck.Fluent;
using Vfio.Pci;
using Vfio.Pci.Capabilities;
using Vfio.Pci.Decoding;

namespace Vfio.Tests.Pci;

public sealed class ConfigDecoderTests
{
    private static FunctionDocument Decode(MadeFunction function, FunctionFacts? facts = null) =>
        ConfigDecoder.Decode(function.Space, facts);

    [Fact]
    public void Any_bytes_decode_and_the_decoding_ends()
    {
        Gen<byte[]> anyBytes =
            from length in Gen.Elements(0, 1, 16, 63, 64, 65, 128, 255, 256, 257, 512, 4095, 4096)
            from bytes in Gen.ArrayOf(ArbMap.Default.GeneratorFor<byte>(), length)
            from layout in Gen.Elements<byte>(0, 1, 2, 0x80, 0x7f)
            select Plausible(bytes, layout);
        Prop.ForAll(anyBytes.ToArbitrary(), bytes =>
        {
            FunctionDocument document = ConfigDecoder.Decode(new ConfigSpace(bytes));
            Assert.InRange(document.Lines.Count(), 1, 20_000);
            Assert.DoesNotContain(document.Lines, line => line.Contains('\n', StringComparison.Ordinal));
        }).QuickCheckThrowOnFailure();
    }

    // Half of the random functions have lists: pointers and ids that lead somewhere.
    private static byte[] Plausible(byte[] bytes, byte layout)
    {
        if (bytes.Length < 256 || bytes[0] % 2 == 0)
            return bytes;
        bytes[6] |= 0x10;
        bytes[0x0e] = layout;
        bytes[0x34] = bytes[0x14] = 0x40;
        bytes[0x40] = 0x10;
        for (int offset = 0x41; offset < 0x100; offset += 4)
            bytes[offset] &= 0x7c;
        for (int offset = 0x100; offset + 4 <= bytes.Length; offset += 4)
        {
            bytes[offset] &= 0x3f;
            bytes[offset + 1] = 0;
        }

        return bytes;
    }

    [Fact]
    public void The_header_reads_as_lspci_has_it()
    {
        MadeFunction function = new(64);
        function.Put(0x04, "07 04 10 02");
        function.Bytes[0x08] = 0x05;
        function.Bytes[0x0c] = 0x10;
        function.Bytes[0x0d] = 0x40;
        function.Put(0x10, "04 00 00 fe 01 00 00 00 01 e0 00 00 08 00 00 d0");
        function.Put(0x2c, "f4 1a 01 00 01 00 c0 fe");
        function.Put(0x3c, "0b 01 04 08");

        FunctionDocument document = Decode(function, new FunctionFacts { Address = new PciAddress(0, 1, 2, 3) });

        Assert.Equal("01:02.3 Class 0200: Device 1234:5678 (rev 05)", document.Title);
        Assert.Equal(
        [
            "\tSubsystem: Device 1af4:0001",
            "\tControl: I/O+ Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR- FastB2B- DisINTx+",
            "\tStatus: Cap+ 66MHz- UDF- FastB2B- ParErr- DEVSEL=medium >TAbort- <TAbort- <MAbort- >SERR- <PERR- INTx-",
            "\tLatency: 64 (1000ns min, 2000ns max), Cache Line Size: 64 bytes",
            "\tInterrupt: pin A routed to IRQ 11",
            "\tRegion 0: Memory at 1fe000000 (64-bit, non-prefetchable)",
            "\tRegion 2: I/O ports at e000",
            "\tRegion 3: Memory at d0000000 (32-bit, prefetchable)",
            "\tExpansion ROM at fec00000",
        ],
        document.HeaderLines);
    }

    [Fact]
    public void What_the_kernel_knows_is_shown_beside_the_registers()
    {
        MadeFunction function = new(64);
        FunctionFacts facts = new()
        {
            Regions = [new RegionFact(0x84_3000_0000, 0x4000, 0x140204), null, null, null, null, null, null],
            Interrupt = 0,
            NumaNode = 1,
            IommuGroup = "66",
            Driver = "vfio-pci",
            Modules = ["nvme", "other"],
        };

        FunctionDocument document = Decode(function, facts);

        Assert.Contains("\tRegion 0: Memory at 8430000000 (64-bit, non-prefetchable) [virtual] [size=16K]", document.Lines);
        Assert.Contains("\tNUMA node: 1", document.Lines);
        Assert.Contains("\tIOMMU group: 66", document.Lines);
        Assert.Equal(["\tKernel driver in use: vfio-pci", "\tKernel modules: nvme, other"], document.Lines.TakeLast(2));
        Assert.DoesNotContain(document.Lines, line => line.StartsWith("\tInterrupt", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("80 00 00000000 00000000 0000", "MSI: Enable- Count=1/1 Maskable- 64bit+", "Address: 0000000000000000  Data: 0000")]
    [InlineData("a5 01 0010e0fe 01000000 4100 0000 0f000000 01000000", "MSI: Enable+ Count=4/4 Maskable+ 64bit+",
        "Address: 00000001fee01000  Data: 0041", "Masking: 0000000f  Pending: 00000001")]
    [InlineData("00 01 0010e0fe 4100 0000 01000000 00000000", "MSI: Enable- Count=1/1 Maskable+ 64bit-",
        "Address: fee01000  Data: 0041", "Masking: 00000001  Pending: 00000000")]
    public void Each_layout_of_MSI_reads(string hex, string title, params string[] lines)
    {
        CapabilityDocument document = Decode(new MadeFunction(256).Standard(0x50, 0x05, hex)).Capabilities[0];
        Assert.Equal("[50]", document.Heading);
        Assert.Equal(title, document.Title);
        Assert.Equal(lines.Select(line => "\t\t" + line), document.Lines);
    }

    [Fact]
    public void A_capability_without_a_table_is_shown_in_hex()
    {
        MadeFunction function = MadeFunction.Express().Extended(0x100, 0x7777, 3, "01 02 03 04 05").Extended(0x140, 0x03, 1);
        CapabilityDocument unknown = Decode(function).Capabilities[1];

        Assert.Equal("[100 v3] Extended Capability ID 0x7777", $"{unknown.Heading} {unknown.Title}");
        Assert.Equal(["\t\tLen=64 <?>", "\t\t100: 77 77 03 14 01 02 03 04 05"], unknown.Lines);
    }

    [Fact]
    public void A_field_that_no_line_has_is_printed_when_it_is_set()
    {
        MadeFunction function = MadeFunction.Express().Extended(0x100, 0x0f, 1, "20 00 00 80");
        CapabilityDocument services = Decode(function).Capabilities[1];
        Assert.Equal(
        [
            "\t\tATSCap:\tInvalidate Queue Depth: 00",
            "\t\tATSCtl:\tEnable+, Smallest Translation Unit: 00",
            "\t\tAlso: ATSCap PageAligned+",
        ],
        services.Lines);
    }

    [Fact]
    public void Registers_have_their_values_for_programs()
    {
        MadeFunction function = new MadeFunction(256).Standard(0x60, 0x11, "04 80 02 20 00 00 00 30 00 00");
        CapabilityDocument document = Decode(function).Capabilities[0];

        RegisterValue flags = document.Registers.Single(register => register.Register.Name == "Flags");
        Assert.Equal(0x62, flags.Offset);
        Assert.Equal(0x8004u, flags.Value);
        Assert.Equal(
            [("Count", 4u, "5"), ("Masked", 0u, "-"), ("Enable", 1u, "+")],
            flags.Fields.Select(field => (field.Field.Name, field.Value, field.Text)));
        Assert.Equal(["\t\tVector table: BAR=2 offset=00002000", "\t\tPBA: BAR=0 offset=00003000"], document.Lines);
    }

    [Fact]
    public void Problems_are_lines_too()
    {
        MadeFunction function = new MadeFunction(256).Standard(0x50, 0x01);
        function.Bytes[0x51] = 0x50;
        Assert.Contains("\t!!! the list loops: 0x51 points back to 0x50", Decode(function).Lines);
    }

    [Fact]
    public void Enhanced_Allocation_reads_entry_by_entry()
    {
        MadeFunction function = new MadeFunction(256).Standard(0x50, 0x14,
            "02 00  03 00 ff 80 02 00 00 43 ff ff ff 3f 01 00 00 84  02 13 fd 00 00 00 20 00 ff 0f 00 00");
        CapabilityDocument document = Decode(function).Capabilities[0];
        Assert.Equal("Enhanced Allocation (EA): NumEntries=2", document.Title);
        Assert.Equal(
        [
            "\t\tEntry 0: Enable+ Writable- EntrySize=3",
            "\t\t\t BAR Equivalent Indicator: BAR 0",
            "\t\t\t PrimaryProperties: memory space, non-prefetchable",
            "\t\t\t SecondaryProperties: entry unavailable for use, PrimaryProperties should be used",
            "\t\t\t Base: 8400000143000000",
            "\t\t\t MaxOffset: 3fffffff",
            "\t\tEntry 1: Enable- Writable- EntrySize=2",
            "\t\t\t BAR Equivalent Indicator: BAR 0",
            "\t\t\t PrimaryProperties: [13]",
            "\t\t\t SecondaryProperties: memory space resource unavailable for use",
            "\t\t\t Base: 00200000",
            "\t\t\t MaxOffset: 00000fff",
        ],
        document.Lines);
    }
}
