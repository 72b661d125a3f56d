using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Vfio.Tracing.Names;

/// <summary>A table of registers that a user wrote as JSON; its schema is <c>registers.schema.json</c>.</summary>
internal static partial class RegisterTable
{
    internal const int MaxBytes = 1 << 20, MaxRegisters = 1 << 16;
    private const int MaxNameLength = 64;
    private static readonly string[] RegisterMembers = ["region", "offset", "bytes", "name", "fields", "count", "stride"];
    private static readonly JsonDocumentOptions Options = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true, MaxDepth = 16 };

    /// <summary>The schema.</summary>
    internal static string Schema
    {
        get
        {
            using Stream stream = typeof(RegisterTable).Assembly.GetManifestResourceStream("registers.schema.json")!;
            using StreamReader reader = new(stream);
            return reader.ReadToEnd();
        }
    }

    /// <summary>Reads a table.</summary>
    /// <exception cref="FormatException">It is none; the message says what is wrong, and where.</exception>
    internal static List<NamedRegister> Parse(ReadOnlyMemory<byte> json)
    {
        List<NamedRegister> registers = [];
        try
        {
            if (json.Length > MaxBytes)
                throw new FormatException($"it is longer than {MaxBytes} bytes");
            using JsonDocument document = JsonDocument.Parse(json, Options);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                throw new FormatException("it is no object");
            foreach (JsonProperty member in document.RootElement.EnumerateObject())
            {
                if (member.Name is not ("$schema" or "registers"))
                    throw new FormatException($"'{member.Name}' is no member of it; there is 'registers'");
            }

            if (!document.RootElement.TryGetProperty("registers", out JsonElement list) || list.ValueKind != JsonValueKind.Array)
                throw new FormatException("it has no list 'registers'");
            int index = 0;
            foreach (JsonElement item in list.EnumerateArray())
                ReadRegister(item, $"registers[{index++}]", registers);
        }
        catch (JsonException broken)
        {
            throw new FormatException($"line {broken.LineNumber + 1}: it is no JSON");
        }
        catch (InvalidOperationException)
        {
            throw new FormatException("a text in it is no Unicode: half of a surrogate pair, or bytes that are no UTF-8");
        }

        return registers;
    }

    private static void ReadRegister(JsonElement item, string at, List<NamedRegister> registers)
    {
        if (item.ValueKind != JsonValueKind.Object)
            throw new FormatException($"{at} is no object");
        foreach (JsonProperty member in item.EnumerateObject())
        {
            if (!RegisterMembers.Contains(member.Name))
                throw new FormatException($"{at}: '{member.Name}' is none of {string.Join(", ", RegisterMembers)}");
        }

        string region = Text(item, "region", at);
        uint number = region switch
        {
            "config" => RegionIndex.Config.Value,
            "rom" => RegionIndex.Rom.Value,
            ['b', 'a', 'r', >= '0' and <= '5'] => (uint)(region[3] - '0'),
            _ => throw new FormatException($"{at}: region is bar0 to bar5, config or rom"),
        };
        ulong offset = Number(item, "offset", at) ?? throw new FormatException($"{at} has no offset");
        ulong bytes = Number(item, "bytes", at) ?? 4;
        if (bytes is not (1 or 2 or 4 or 8))
            throw new FormatException($"{at}: bytes is 1, 2, 4 or 8");
        ulong count = Number(item, "count", at) ?? 1, stride = Number(item, "stride", at) ?? bytes;
        if (count is 0 || count > (ulong)(MaxRegisters - registers.Count))
            throw new FormatException($"{at}: count is from 1 on, and there are at most {MaxRegisters} registers");
        if (stride < bytes || stride > ulong.MaxValue / MaxRegisters || offset > ulong.MaxValue - (count * stride))
            throw new FormatException($"{at}: registers with this offset and stride overlap or wrap");
        string name = Text(item, "name", at);
        List<NamedField> fields = ReadFields(item, at, (int)bytes * 8);
        for (ulong i = 0; i < count; i++)
            registers.Add(new NamedRegister(number, offset + (i * stride), (int)bytes, count == 1 ? name : $"{name}[{i}]", fields));
    }

    private static List<NamedField> ReadFields(JsonElement item, string at, int width)
    {
        List<NamedField> fields = [];
        if (!item.TryGetProperty("fields", out JsonElement given))
            return fields;
        if (given.ValueKind != JsonValueKind.Object)
            throw new FormatException($"{at}: fields is an object, as {{\"EN\": \"0\", \"SHN\": \"15:14\"}}");
        foreach (JsonProperty field in given.EnumerateObject())
        {
            Match bits = BitRange().Match(field.Value.ValueKind == JsonValueKind.String ? field.Value.GetString()! : field.Value.ToString());
            if (!bits.Success)
                throw new FormatException($"{at}: field '{field.Name}' has bits such as \"0\" or \"15:14\"");
            int high = int.Parse(bits.Groups["high"].ValueSpan, CultureInfo.InvariantCulture);
            int low = bits.Groups["low"].Success ? int.Parse(bits.Groups["low"].ValueSpan, CultureInfo.InvariantCulture) : high;
            if (low > high || high >= width || fields.Count >= width)
                throw new FormatException($"{at}: field '{field.Name}' leaves the {width} bits of the register");
            fields.Add(new NamedField(Name(field.Name, at), high, low));
        }

        return fields;
    }

    private static string Text(JsonElement item, string member, string at) =>
        item.TryGetProperty(member, out JsonElement value) && value.ValueKind == JsonValueKind.String
            ? Name(value.GetString()!, at)
            : throw new FormatException($"{at} has no {member}, which is a text");

    private static string Name(string text, string at) => text.Length is > 0 and <= MaxNameLength
        ? text
        : throw new FormatException($"{at}: a name has 1 to {MaxNameLength} characters");

    private static ulong? Number(JsonElement item, string member, string at)
    {
        if (!item.TryGetProperty(member, out JsonElement value))
            return null;
        if (value.ValueKind == JsonValueKind.Number && value.TryGetUInt64(out ulong number))
            return number;
        if (value.ValueKind == JsonValueKind.String && Hex().IsMatch(value.GetString()!))
            return TraceFilter.Number(value.GetString()!);
        throw new FormatException($"{at}: {member} is a number, or a text such as \"0x14\"");
    }

    [GeneratedRegex(@"^(?<high>\d{1,2})(:(?<low>\d{1,2}))?$", RegexOptions.CultureInvariant)]
    private static partial Regex BitRange();

    [GeneratedRegex(@"^(0x[0-9a-f]{1,16}|\d{1,19})$", RegexOptions.CultureInvariant)]
    private static partial Regex Hex();
}
