using System.Text;
using System.Text.Json;
using Vfio.Tracing.Names;

namespace Vfio.Tracing.Text;

/// <summary>Events as JSON, an object each.</summary>
internal static class TraceJson
{
    /// <summary>Writes an event.</summary>
    internal static void Write(Utf8JsonWriter writer, in TraceEvent one, RegisterNames names)
    {
        writer.WriteStartObject();
        writer.WriteNumber("index", one.Index);
        writer.WriteNumber("time", one.Nanoseconds);
        writer.WriteNumber("session", one.Session);
        writer.WriteNumber("thread", one.Thread);
        writer.WriteString("kind", TraceText.NameOf(one.Kind));
        if (one.Error != Errno.None)
            writer.WriteNumber("errno", (int)one.Error);
        switch (one.Kind)
        {
            case TraceEventKind.Open:
                writer.WriteString("device", Encoding.UTF8.GetString(one.Data.Span));
                break;
            case TraceEventKind.Read or TraceEventKind.Write:
                WriteAccess(writer, one, names);
                break;
            case TraceEventKind.Error:
                writer.WriteString("refused", TraceText.NameOf((TraceEventKind)one.Value));
                writer.WriteNumber("place", one.Place);
                break;
            case TraceEventKind.DmaRead or TraceEventKind.DmaWrite:
                writer.WriteNumber("address", one.Place);
                WriteData(writer, one);
                break;
            case TraceEventKind.Map or TraceEventKind.Unmap or TraceEventKind.AddressRange:
                writer.WriteNumber("address", one.Place);
                writer.WriteNumber("length", one.Value);
                break;
            case TraceEventKind.SetInterrupts:
                writer.WriteString("interrupt", one.Interrupt.ToString());
                writer.WriteNumber("start", one.Place);
                writer.WriteNumber("count", one.Length);
                writer.WriteString("action", ((InterruptAction)(one.Value & 0xff)).ToString());
                writer.WriteString("data", ((InterruptData)(one.Value >> 8 & 0xff)).ToString());
                break;
            case TraceEventKind.Interrupt:
                writer.WriteString("interrupt", one.Interrupt.ToString());
                writer.WriteNumber("vector", one.Place);
                break;
            case TraceEventKind.Region:
                writer.WriteString("region", TraceText.NameOf(one.Region));
                writer.WriteNumber("length", one.Value);
                break;
            case TraceEventKind.InterruptKind:
                writer.WriteString("interrupt", one.Interrupt.ToString());
                writer.WriteNumber("count", one.Value);
                break;
            case TraceEventKind.ConfigSpace:
                writer.WriteString("data", Convert.ToHexStringLower(one.Data.Span));
                break;
            case TraceEventKind.SetMigrationState:
                writer.WriteString("state", ((MigrationState)one.Value).ToString());
                break;
            case TraceEventKind.ReadState or TraceEventKind.WriteState:
                writer.WriteNumber("length", one.Length);
                break;
            case TraceEventKind.Lost:
                writer.WriteNumber("events", one.Value);
                break;
            default:
                break;
        }

        writer.WriteEndObject();
    }

    private static void WriteAccess(Utf8JsonWriter writer, in TraceEvent one, RegisterNames names)
    {
        writer.WriteString("region", TraceText.NameOf(one.Region));
        writer.WriteNumber("offset", one.Place);
        if (names.Find(one.Region, one.Place) is { } name)
            writer.WriteString("register", name);
        WriteData(writer, one);
        if (one.Length <= sizeof(ulong) && names.FieldsAt(one.Region, one.Place, (int)one.Length) is { Count: > 0 } fields)
        {
            writer.WriteStartObject("fields");
            foreach (NamedField field in fields)
                writer.WriteNumber(field.Name, field.Of(one.Value));
            writer.WriteEndObject();
        }

        if (one.DurationNanoseconds > 0)
            writer.WriteNumber("duration", one.DurationNanoseconds);
    }

    private static void WriteData(Utf8JsonWriter writer, in TraceEvent one)
    {
        writer.WriteNumber("length", one.Length);
        if (one.IsRedacted)
            writer.WriteString("hash", one.Value.ToString("x16"));
        else if (one.Length <= sizeof(ulong))
            writer.WriteNumber("value", one.Value);
        else if (!one.Data.IsEmpty)
            writer.WriteString("data", Convert.ToHexStringLower(one.Data.Span));
    }
}
