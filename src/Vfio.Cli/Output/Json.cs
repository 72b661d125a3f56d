using System.Text.Encodings.Web;
using System.Text.Json;

namespace Vfio.Cli.Output;

/// <summary>JSON for machines: one document on standard output.</summary>
internal static class Json
{
    private static readonly JsonWriterOptions Options = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes a document.</summary>
    internal static void Print(TextWriter output, Action<Utf8JsonWriter> write) => output.WriteLine(Format(Options, write));

    /// <summary>A document in one line, for a stream of them.</summary>
    internal static string Line(Action<Utf8JsonWriter> write) => Format(Options with { Indented = false }, write);

    private static string Format(JsonWriterOptions options, Action<Utf8JsonWriter> write)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter writer = new(bytes, options))
            write(writer);
        return System.Text.Encoding.UTF8.GetString(bytes.ToArray());
    }
}
