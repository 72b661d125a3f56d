using System.Text.Json;
using Vfio.Pci;
using Vfio.Pci.Decoding;

namespace Vfio.Cli.Show;

/// <summary>Decoded functions as JSON.</summary>
internal static class DocumentJson
{
    internal static void Write(Utf8JsonWriter writer, IEnumerable<(FunctionView View, FunctionDocument Document)> functions)
    {
        writer.WriteStartArray();
        foreach ((FunctionView view, FunctionDocument document) in functions)
        {
            writer.WriteStartObject();
            writer.WriteString("address", view.Name);
            if (!view.IsPci)
            {
                WriteDevice(writer, view.Device!);
                writer.WriteEndObject();
                continue;
            }

            writer.WriteString("title", document.Title);
            writer.WriteString("vendor", $"{view.Space.VendorId:x4}");
            writer.WriteString("device", $"{view.Space.DeviceId:x4}");
            writer.WriteStartArray("header");
            WriteRegisters(writer, document.Header);
            writer.WriteEndArray();
            writer.WriteStartArray("capabilities");
            foreach (CapabilityDocument capability in document.Capabilities)
                WriteCapability(writer, capability);
            writer.WriteEndArray();
            writer.WriteStartArray("problems");
            foreach (string problem in document.Problems)
                writer.WriteStringValue(problem);
            writer.WriteEndArray();
            if (view.Device is { } device)
                WriteDevice(writer, device);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    private static void WriteCapability(Utf8JsonWriter writer, CapabilityDocument capability)
    {
        writer.WriteStartObject();
        writer.WriteNumber("offset", capability.Capability.Offset);
        writer.WriteNumber("id", capability.Capability.Id);
        writer.WriteBoolean("extended", capability.Capability.IsExtended);
        writer.WriteNumber("version", capability.Capability.Version);
        writer.WriteString("name", capability.Capability.Name);
        writer.WriteNumber("length", capability.Capability.LengthBytes);
        writer.WriteString("title", capability.Title);
        writer.WriteStartArray("registers");
        WriteRegisters(writer, capability.Registers);
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static void WriteRegisters(Utf8JsonWriter writer, IEnumerable<RegisterValue> registers)
    {
        foreach (RegisterValue register in registers)
        {
            writer.WriteStartObject();
            writer.WriteNumber("offset", register.Offset);
            writer.WriteNumber("bytes", register.Register.Bytes);
            writer.WriteString("name", register.Register.Name);
            writer.WriteNumber("value", register.Value);
            writer.WriteStartArray("fields");
            foreach (FieldValue field in register.Fields)
            {
                writer.WriteStartObject();
                writer.WriteString("name", field.Field.Name);
                writer.WriteNumber("high", field.Field.High);
                writer.WriteNumber("low", field.Field.Low);
                writer.WriteNumber("value", field.Value);
                writer.WriteString("rule", JsonNamingPolicy.KebabCaseLower.ConvertName(field.Field.Rule.ToString()));
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }
    }

    private static void WriteDevice(Utf8JsonWriter writer, DeviceFacts device)
    {
        writer.WriteStartObject("assigned");
        writer.WriteBoolean("canReset", device.Info.CanReset);
        if (device.Report is { } report)
            WriteReport(writer, report);
        if (device.Node is { } node)
        {
            writer.WriteString("deviceTreePath", node.Path);
            writer.WriteStartArray("compatible");
            foreach (string compatible in node.Compatible)
                writer.WriteStringValue(compatible);
            writer.WriteEndArray();
        }

        writer.WriteStartArray("regions");
        foreach (RegionInfo region in device.Regions)
        {
            writer.WriteStartObject();
            writer.WriteString("name", device.NameOf(region.Index));
            writer.WriteNumber("length", region.Length);
            writer.WriteNumber("flags", (int)region.Flags);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteStartArray("interrupts");
        foreach (InterruptInfo kind in device.Interrupts)
        {
            writer.WriteStartObject();
            writer.WriteString("name", device.NameOf(kind.Index));
            writer.WriteNumber("count", kind.Count);
            writer.WriteNumber("flags", (int)kind.Flags);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    internal static void WriteReport(Utf8JsonWriter writer, WellBehavedReport report)
    {
        writer.WriteBoolean("wellBehaved", report.IsWellBehaved);
        writer.WriteStartArray("verdicts");
        foreach (Finding verdict in report.Findings)
        {
            writer.WriteStartObject();
            writer.WriteString("question", verdict.Question);
            writer.WriteString("answer", JsonNamingPolicy.CamelCase.ConvertName(verdict.Answer.ToString()));
            writer.WriteString("reason", verdict.Reason);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }
}
