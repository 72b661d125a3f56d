using FsCheck;
using FsCheck.Fluent;
using Vfio.Pci;
using Vfio.Pci.Dumps;

namespace Vfio.Tests.Pci;

public sealed class LspciDumpTests
{
    private const string Row = ": 86 80 57 0d 00 00 00 00 00 00 00 06 00 00 00 00";

    private static IReadOnlyList<DumpedFunction> Parse(string text) => LspciDump.Parse(new StringReader(text));

    [Theory]
    [InlineData("00:1f.3 Audio device: Something (rev 01)", "0000:00:1f.3", "Audio device: Something (rev 01)")]
    [InlineData("0002:01:00.0 Ethernet controller", "0002:01:00.0", "Ethernet controller")]
    [InlineData("10000:e1:00.0 NVMe", "10000:e1:00.0", "NVMe")]
    [InlineData("00:1f.3", "0000:00:1f.3", "")]
    public void A_function_starts_with_its_address(string line, string address, string heading)
    {
        DumpedFunction function = Assert.Single(Parse($"{line}\n00{Row}\n"));
        Assert.Equal(address, function.Address.ToString());
        Assert.Equal(heading, function.Heading);
        Assert.Equal(16, function.Space.Length);
        Assert.Equal(0x8086, function.Space.VendorId);
    }

    [Fact]
    public void Text_between_rows_and_functions_is_passed_over()
    {
        string text = $"00:00.0 A\n\tControl: I/O- Mem-\n\tRegion 0: Memory at fe000000\n00{Row}\n10{Row}\n\n"
            + $"nothing\r\n\n00:01.0 B\r\n00{Row}\r\n";
        Assert.Equal([32, 16], Parse(text).Select(function => function.Space.Length));
    }

    [Fact]
    public void A_heading_without_rows_is_text() => Assert.Empty(Parse("00:00.0 Host bridge: Something\n00:01.0 Other\n"));

    [Theory]
    [InlineData("00:00.0 A\n00: 86 8\n", "line 2: \"8\" is not a byte in hex")]
    [InlineData("00:00.0 A\n00: 86 xy\n", "line 2: \"xy\" is not a byte in hex")]
    [InlineData("00:00.0 A\n00:\n", "line 2: a row of 0 bytes where there are 1 to 16")]
    [InlineData("00:00.0 A\n10: 86 80\n", "line 2: a row for offset 0x10 where 0x0 is next")]
    [InlineData("00:00.0 A\n00: 00\n00: 00\n", "line 3: a row for offset 0x0 where 0x1 is next")]
    public void A_bad_row_is_refused_with_its_line(string text, string message) =>
        Assert.Equal(message, Assert.Throws<FormatException>(() => Parse(text)).Message);

    [Fact]
    public void More_than_config_space_is_refused()
    {
        IEnumerable<string> rows = Enumerable.Range(0, 257).Select(row => $"{16 * row:x2}{Row}");
        FormatException error = Assert.Throws<FormatException>(() => Parse($"00:00.0 A\n{string.Join('\n', rows)}\n"));
        Assert.Equal("line 258: more than the 4096 bytes that config space has", error.Message);
    }

    [Fact]
    public void What_is_written_is_read_back()
    {
        Gen<DumpedFunction> functions =
            from length in Gen.Elements(1, 64, 256, 4096)
            from bytes in Gen.ArrayOf(ArbMap.Default.GeneratorFor<byte>(), length)
            from domain in Gen.Elements(0u, 1u, 0x10000u)
            from slot in Gen.Choose(0, 31)
            select new DumpedFunction(new PciAddress(domain, 3, (byte)slot, 7), "Some function", new ConfigSpace(bytes));
        Prop.ForAll(Gen.ListOf(functions).Select(list => list.ToArray()).ToArbitrary(), written =>
        {
            StringWriter text = new();
            LspciDump.Write(text, written);
            IReadOnlyList<DumpedFunction> read = Parse(text.ToString());
            AssertSame(written, read);
            Assert.Equal(written.Select(function => function.Heading), read.Select(function => function.Heading));
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Lspci_writes_back_the_bytes_that_were_written_for_it()
    {
        Lspci.SkipUnlessThere();
        using StreamReader file = new(Repository.PathOf("test", "Vfio.Tests", "data", "virtio.lspci"));
        DumpedFunction[] functions = [.. LspciDump.Parse(file)];
        string path = Path.GetTempFileName();
        using (StreamWriter writer = new(path))
            LspciDump.Write(writer, functions);

        IReadOnlyList<DumpedFunction> read = Parse(Lspci.Run("-F", path, "-xxxx"));
        File.Delete(path);

        AssertSame(functions, read);
    }

    private static void AssertSame(IReadOnlyList<DumpedFunction> written, IReadOnlyList<DumpedFunction> read)
    {
        Assert.Equal(written.Select(function => function.Address), read.Select(function => function.Address));
        Assert.Equal(written.Select(function => function.Space.Bytes.ToArray()), read.Select(function => function.Space.Bytes.ToArray()));
    }
}
