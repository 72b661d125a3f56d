using System.Text.Json;
using Vfio.Native.Errors;
using Vfio.Tracing;
using Vfio.Tracing.Names;
using Vfio.Tracing.Text;

namespace Vfio.Tests.Fuzz.Targets;

/// <summary>A trace file: read, named and printed. What does not begin as one is a table of register names.</summary>
internal static class TraceTarget
{
    public static void Run(byte[] bytes)
    {
        if (bytes is not [(byte)'V', ..])
        {
            try
            {
                RegisterTable.Parse(bytes);
            }
            catch (FormatException)
            {
                // It says what is wrong.
            }

            return;
        }

        try
        {
            using TraceReader reader = new(new MemoryStream(bytes), "fuzz");
            NamedEvents events = new(Check, () => { }, default);
            foreach (TraceEvent one in reader.ReadAll())
                events.Write(one);
        }
        catch (VfioException)
        {
            // It is no trace.
        }
    }

    private static void Check(TraceEvent one, RegisterNames names)
    {
        string line = TraceText.Line(one, names);
        if (PrintableText.FindUnprintable(line, 0) >= 0)
            throw new InvalidOperationException($"the line of event {one.Index} would control a terminal");
        using Utf8JsonWriter writer = new(Stream.Null);
        TraceJson.Write(writer, one, names);
    }
}
