using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Vfio.Native;
using Vfio.Native.Errors;

namespace Vfio.Cli.Output;

/// <summary>JSON for machines: one document on standard output.</summary>
internal static class Json
{
    private static readonly JsonWriterOptions Options = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes a document.</summary>
    internal static void Print(TextWriter output, Action<Utf8JsonWriter> write) => output.Write(Format(Options, write) + "\n");

    /// <summary>A document in one line, for a stream of them.</summary>
    internal static string Line(Action<Utf8JsonWriter> write) => Format(Options with { Indented = false }, write);

    private static string Format(JsonWriterOptions options, Action<Utf8JsonWriter> write)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter writer = new(bytes, options))
            write(writer);
        return EscapeHidden(Encoding.UTF8.GetString(bytes.GetBuffer(), 0, (int)bytes.Length));
    }

    // The writer leaves characters that control a terminal but no parser. They occur in strings only, where an escape means the same.
    private static string EscapeHidden(string json)
    {
        StringBuilder result = new(json.Length);
        int start = 0, from = 0;
        while (PrintableText.FindUnprintable(json, from) is >= 0 and int at)
        {
            from = at + 1;
            if (json[at] == '\n')
                continue;
            result.Append(json, start, at - start).Append($"\\u{(int)json[at]:x4}");
            if (at + 1 < json.Length && char.IsSurrogatePair(json, at))
                result.Append($"\\u{(int)json[from++]:x4}");
            start = from;
        }

        return result.Append(json, start, json.Length - start).ToString();
    }
}
