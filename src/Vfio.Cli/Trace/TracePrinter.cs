using System.Text;
using Vfio.Cli.Output;
using Vfio.Tracing;
using Vfio.Tracing.Text;

namespace Vfio.Cli.Trace;

/// <summary>Prints events, a line each.</summary>
/// <param name="output">Where to.</param>
/// <param name="isJson">Whether as JSON.</param>
internal sealed class TracePrinter(TextWriter output, bool isJson)
{
    private const int MostGathered = 1 << 16;
    private readonly StringBuilder _lines = new();

    /// <summary>Prints an event.</summary>
    internal void Print(TraceEvent one, RegisterNames names)
    {
        // What the device has not is for machines.
        if (!isJson && one is { Kind: TraceEventKind.Region or TraceEventKind.InterruptKind, Value: 0 })
            return;
        _lines.Append(isJson ? Json.Line(writer => TraceJson.Write(writer, one, names)) : TraceText.Line(one, names)).Append('\n');
        if (_lines.Length > MostGathered)
            Flush();
    }

    /// <summary>Writes what was gathered.</summary>
    internal void Flush()
    {
        if (_lines.Length == 0)
            return;

        // Dropped also when the output throws: it may be gone for good.
        string text = _lines.ToString();
        _lines.Clear();
        output.Write(text);
    }
}
