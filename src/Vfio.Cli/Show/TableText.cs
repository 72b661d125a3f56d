using System.Text;

namespace Vfio.Cli.Show;

/// <summary>A <see cref="DeviceTable"/> in lines: one for each record, indented below the record that it is in.</summary>
internal static class TableText
{
    // Of a record that this version does not know.
    private const int ShownBytes = 16;

    internal static IEnumerable<string> Lines(DeviceTable table) =>
        table.Records.SelectMany(record => Lines(record, depth: 0)).Prepend($"device table, version {table.Version}");

    private static IEnumerable<string> Lines(DeviceTableRecord record, int depth)
    {
        yield return $"{new string(' ', 2 * (depth + 1))}{record.Type} {Describe(record)}".TrimEnd();
        foreach (string line in record.Records.Where(below => below.Type != "NAME").SelectMany(below => Lines(below, depth + 1)))
            yield return line;
    }

    private static string Describe(DeviceTableRecord record)
    {
        string name = record.TextOf("NAME") ?? "";
        return record.Type switch
        {
            "DEVI" => $"{name}: {Words(record.Number(0, 4), "reset", "PCI", "platform")}, {Count(record.Number(4, 4), "region")}, {Count(record.Number(8, 4), "interrupt index", "interrupt indexes")}",
            "REGN" => $"{record.Number(0, 4)} {name}: {DeviceFacts.Size(record.Number(8, 8))}, {Words(record.Number(4, 4), "read", "write", "map")}",
            "INTR" => $"{record.Number(0, 4)} {name}: {Count(record.Number(8, 4), "vector")}, {Words(record.Number(4, 4), "eventfd", "maskable", "masked when it fires", "no resize")}",
            "DBEL" => $"0x{record.Number(0, 8):x}, {Width(record.Number(8, 4))}{(record.Number(12, 4) == 0 ? "" : $", of 0x{record.Number(16, 8):x}")}",
            "DTPA" or "DTCO" => record.Text,
            "MMAP" or "IOVA" => string.Join(' ', Pairs(record)),
            "PCIC" => $"{record.Number(0, 4)} bytes of config space",
            "CAPA" => $"{record.Number(0, 4):x3} {name}, {Count(record.Number(4, 4), "byte")}",
            "REGI" => $"{record.Number(0, 4):x3} {name}, {Count(record.Number(4, 1), "byte")}",
            "FELD" => $"{record.Number(1, 1),2}:{record.Number(2, 1),-2} {Symbol(record.Number(0, 1))} {name}",
            _ => Hex(record.Content.Span),
        };
    }

    private static string Count(ulong number, string one, string? several = null) => $"{number} {(number == 1 ? one : several ?? one + "s")}";

    /// <summary>The words of the bits that are set, from bit 0 on; bits that have none in hex.</summary>
    private static string Words(ulong bits, params string[] words)
    {
        List<string> set = [.. words.Where((_, bit) => (bits >> bit & 1) != 0)];
        if (bits >> words.Length is not 0 and ulong others)
            set.Add($"0x{others << words.Length:x}");
        return set.Count == 0 ? "no flags" : string.Join(", ", set);
    }

    private static string Width(ulong bytes) => bytes == 0 ? "any width" : Count(bytes, "byte");

    private static char Symbol(ulong character) => character is > ' ' and <= '~' ? (char)character : '?';

    private static IEnumerable<string> Pairs(DeviceTableRecord record)
    {
        for (int offset = 0; offset + 16 <= record.Content.Length; offset += 16)
        {
            ulong start = record.Number(offset, 8);
            yield return $"[{start:x}-{unchecked(start + record.Number(offset + 8, 8) - 1):x}]";
        }
    }

    private static string Hex(ReadOnlySpan<byte> content)
    {
        StringBuilder text = new($"{content.Length} bytes:");
        foreach (byte one in content[..Math.Min(content.Length, ShownBytes)])
            text.Append(' ').Append(one.ToString("x2", null));
        return text.Append(content.Length > ShownBytes ? " ..." : "").ToString();
    }
}
