using Vfio.Pci;
using Vfio.Pci.Capabilities;
using Vfio.Pci.Decoding;
using Vfio.Pci.Dumps;

namespace Vfio.Tests.Pci;

/// <summary>Every line that <c>lspci -vvv</c> prints, the decoder prints too.</summary>
public sealed class LspciAgreementTests
{
    private static readonly string[] Devices = "/sys/bus/pci/devices" is var folder && Directory.Exists(folder)
        ? Directory.GetDirectories(folder)
        : [];

    [Fact]
    public void The_virtio_functions_of_the_dump_read_the_same()
    {
        Lspci.SkipUnlessThere();
        using StreamReader file = new(Repository.PathOf("test", "Vfio.Tests", "data", "virtio.lspci"));
        IReadOnlyList<DumpedFunction> functions = LspciDump.Parse(file);

        Assert.Equal(6, functions.Count);
        Assert.All(functions, AssertAgrees);
    }

    [Fact]
    public void The_functions_of_this_machine_read_the_same()
    {
        Lspci.SkipUnlessThere();
        Assert.SkipWhen(Devices.Length == 0, "this machine has no PCI functions");
        foreach (DumpedFunction function in LspciDump.Parse(new StringReader(Lspci.Run("-D", "-xxxx"))))
        {
            FunctionDocument ours = ConfigDecoder.Decode(function.Space, KernelFacts(function.Address));
            string theirs = Lspci.Run("-vvv", "-s", function.Address.ToString());
            Assert.Empty(Lspci.Missing(theirs, ours, function.Space));
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_capability_full_of_random_bits_reads_the_same(ushort id, bool isExtended)
    {
        Lspci.SkipUnlessThere();
        Random random = new((id << 1) + (isExtended ? 1 : 0));
        List<DumpedFunction> functions = [];
        for (int index = 0; index < 32; index++)
        {
            MadeFunction function = isExtended ? Extended(random, id, index) : Standard(random, (byte)id, index);
            if (isExtended)
                Tame(function.Bytes.AsSpan(0x100), id);
            functions.Add(new DumpedFunction(new PciAddress(0, (byte)index, 0, 0), "Made", function.Space));
        }

        string[] theirs = Lspci.Decode(functions).Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(functions.Count, theirs.Length);
        foreach ((DumpedFunction function, string text) in functions.Zip(theirs))
        {
            Assert.Empty(Lspci.Missing(text, Decode(function), function.Space));
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Headers_full_of_random_bits_read_the_same(byte layout)
    {
        Lspci.SkipUnlessThere();
        Random random = new(layout);
        for (int index = 0; index < 32; index++)
        {
            MadeFunction function = new(256);
            random.NextBytes(function.Bytes);
            function.Put16(0x06, (ushort)(random.Next() & ~0x10));
            function.Bytes[0x0e] = layout;
            function.Bytes[0x3d] &= 3;
            // No upper half after the last BAR.
            function.Bytes[layout switch { 0 => 0x24, 1 => 0x14, _ => 0x10 }] &= 0xf9;
            AssertAgrees(new DumpedFunction(new PciAddress(0, 0, 1, 0), "Made", function.Space));
        }
    }

    public static TheoryData<ushort, bool> Kinds()
    {
        // Over nonsense in DVSECs of CXL it reads past its own tables, over nonsense in Enhanced Allocation it gives up.
        TheoryData<ushort, bool> kinds = [];
        foreach (CapabilityTable table in CapabilityCatalog.All)
        {
            if ((table.Id, table.IsExtended) is not ((0x23, true) or (0x14, false)))
                kinds.Add(table.Id, table.IsExtended);
        }

        return kinds;
    }

    private static MadeFunction Standard(Random random, byte id, int index)
    {
        MadeFunction function = new(256, (byte)(index & 1));
        random.NextBytes(function.Bytes.AsSpan(0x50));
        function.Standard(0x80, id);
        function.Bytes[0x81] = 0;
        return function;
    }

    private static MadeFunction Extended(Random random, ushort id, int index)
    {
        // Each kind of port in turn.
        MadeFunction function = MadeFunction.Express($"{0x02 | ((index % 11) << 4):x2} 01");
        random.NextBytes(function.Bytes.AsSpan(0x100));
        function.Extended(0x100, id, 1 + (index & 1));
        return function;
    }

    // Takes away what no specification allows and the two read differently.
    private static void Tame(Span<byte> capability, ushort id)
    {
        switch (id)
        {
            case 0x05: // Reserved bits beside the element type.
                capability[4] &= 0x0f;
                break;
            case 0x07: // A range of devices that ends at 31 has no end.
                capability[7] &= 0x7f;
                break;
            case 0x10: // A 64-bit address in the last BAR.
                capability[0x38] &= 0xf9;
                break;
            case 0x12: // Sizes that do not fit into an int.
                capability[0x28] &= 0xcf;
                break;
            case 0x18: // Scales above 5.
                capability[5] &= 0xef;
                capability[7] &= 0xef;
                break;
        }
    }

    private static void AssertAgrees(DumpedFunction function) =>
        Assert.Empty(Lspci.Missing(Lspci.Decode([function]), Decode(function), function.Space));

    private static FunctionDocument Decode(DumpedFunction function) =>
        ConfigDecoder.Decode(function.Space, new FunctionFacts { Address = function.Address, Names = Lspci.Names });

    private static FunctionFacts KernelFacts(PciAddress address)
    {
        string folder = $"/sys/bus/pci/devices/{address}";
        string[][] resources = [.. File.ReadLines($"{folder}/resource").Take(7).Select(line => line.Split(' '))];
        RegionFact?[] regions = [.. resources.Select(Region)];
        return new FunctionFacts
        {
            Address = address,
            Names = Lspci.Names,
            Regions = regions,
            Interrupt = uint.Parse(File.ReadAllText($"{folder}/irq")),
            Driver = Target($"{folder}/driver"),
            IommuGroup = Target($"{folder}/iommu_group"),
            NumaNode = int.Parse(File.ReadAllText($"{folder}/numa_node")) is var node and >= 0 ? node : null,
        };
    }

    private static RegionFact? Region(string[] columns)
    {
        ulong[] values = [.. columns.Select(column => Convert.ToUInt64(column, 16))];
        return values[1] == 0 ? null : new RegionFact(values[0], values[1] - values[0] + 1, values[2]);
    }

    private static string? Target(string link) =>
        Directory.Exists(link) ? Path.GetFileName(new DirectoryInfo(link).ResolveLinkTarget(returnFinalTarget: true)!.FullName) : null;
}
