using System.Globalization;

namespace Vfio.Pci.Dumps;

/// <summary>Dumps of config space as <c>lspci -x</c>, <c>-xxx</c> and <c>-xxxx</c> write them and <c>lspci -F</c> reads them.</summary>
/// <remarks>A function starts with a line of its address, with or without a domain; lines of an offset, a colon and up to 16 bytes follow.
/// Other lines are text and passed over. A blank line ends a function.</remarks>
internal static class LspciDump
{
    private const int RowBytes = 16;

    /// <summary>Reads every function of a dump.</summary>
    /// <exception cref="FormatException">A row that is malformed, leaves a gap, or goes past 4096 bytes; the message has the line's number.
    /// </exception>
    public static IReadOnlyList<DumpedFunction> Parse(TextReader text)
    {
        ArgumentNullException.ThrowIfNull(text);
        List<DumpedFunction> functions = [];
        (PciAddress Address, string Heading)? current = null;
        List<byte> bytes = [];
        for (int number = 1; text.ReadLine() is { } line; number++)
        {
            line = line.TrimEnd('\r');
            if (TryHeading(line, out PciAddress address, out string heading))
            {
                Finish();
                current = (address, heading);
            }
            else if (line.Length == 0)
            {
                Finish();
            }
            else if (current is not null && TryOffset(line, out int offset, out string row))
            {
                AddRow(bytes, offset, row, number);
            }
        }

        Finish();
        return functions;

        // A heading with no row under it is a line of plain lspci output.
        void Finish()
        {
            if (current is { } function && bytes.Count > 0)
                functions.Add(new DumpedFunction(function.Address, function.Heading, new ConfigSpace(bytes.ToArray())));
            current = null;
            bytes.Clear();
        }
    }

    /// <summary>Writes functions so that <c>lspci -F</c> reads them.</summary>
    public static void Write(TextWriter text, IEnumerable<DumpedFunction> functions)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(functions);
        foreach (DumpedFunction function in functions)
        {
            // Without anything after the address, lspci takes the line for text.
            string heading = function.Heading.Length == 0 ? "function" : function.Heading;
            text.Write($"{function.Address.ToShortString()} {heading}\n");
            ConfigSpace space = function.Space;
            for (int offset = 0; offset < space.Length; offset += RowBytes)
                text.Write($"{offset:x2}: {Hex(space, offset)}\n");
            text.Write('\n');
        }
    }

    private static string Hex(ConfigSpace space, int offset) =>
        string.Join(' ', space.Bytes[offset..Math.Min(offset + RowBytes, space.Length)].ToArray().Select(value => $"{value:x2}"));

    private static bool TryHeading(string line, out PciAddress address, out string heading)
    {
        int end = line.IndexOf(' ', StringComparison.Ordinal);
        heading = end < 0 ? "" : line[(end + 1)..].Trim();
        string place = end < 0 ? line : line[..end];
        address = default;
        // Two digits of bus and slot: "1:2.3" is text.
        int colon = place.LastIndexOf(':');
        return place.Length >= 7 && colon >= 2 && place.Length - colon == 5 && PciAddress.TryParse(place, out address);
    }

    private static bool TryOffset(string line, out int offset, out string row)
    {
        int colon = line.IndexOf(':', StringComparison.Ordinal);
        offset = 0;
        row = "";
        if (colon is < 2 or > 8 || (line.Length > colon + 1 && line[colon + 1] != ' '))
            return false;
        if (!int.TryParse(line.AsSpan(0, colon), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out offset))
            return false;
        row = line[(colon + 1)..];
        return true;
    }

    private static void AddRow(List<byte> bytes, int offset, string row, int number)
    {
        if (offset != bytes.Count)
            throw Error(number, $"a row for offset 0x{offset:x} where 0x{bytes.Count:x} is next");
        string[] parts = row.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length is 0 or > RowBytes)
            throw Error(number, $"a row of {parts.Length} bytes where there are 1 to {RowBytes}");
        foreach (string part in parts)
        {
            if (part.Length != 2 || !byte.TryParse(part, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte value))
                throw Error(number, $"\"{part}\" is not a byte in hex");
            if (bytes.Count == ConfigSpace.ExtendedLength)
                throw Error(number, $"more than the {ConfigSpace.ExtendedLength} bytes that config space has");
            bytes.Add(value);
        }
    }

    private static FormatException Error(int number, string what) => new($"line {number}: {what}");
}
