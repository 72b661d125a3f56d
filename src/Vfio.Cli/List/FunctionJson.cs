using System.Text.Json;
using Vfio.Cli.Show;
using Vfio.Pci;

namespace Vfio.Cli.List;

/// <summary>Functions as JSON: all that <see cref="FunctionBlocks"/> prints. An absent value is null.</summary>
internal static class FunctionJson
{
    internal static void Write(Utf8JsonWriter writer, IEnumerable<ListedFunction> functions)
    {
        writer.WriteStartArray();
        foreach (ListedFunction listed in functions)
            Write(writer, listed);
        writer.WriteEndArray();
    }

    private static void Write(Utf8JsonWriter writer, ListedFunction listed)
    {
        writer.WriteStartObject();
        writer.WriteString("address", listed.Function.Address.ToString());
        writer.WriteString("vendor", $"{listed.Vendor:x4}");
        writer.WriteString("device", $"{listed.Device:x4}");
        writer.WriteString("classCode", $"{listed.Function.ClassCode:x6}");
        writer.WriteString("class", listed.Class);
        writer.WriteString("name", listed.Name);
        writer.WriteString("driver", listed.Driver);
        writer.WriteString("vfioDriver", listed.Function.VfioDriver);
        writer.WriteString("iommu", listed.Function.Iommu);
        writer.WriteString("iommuGroup", listed.Function.IommuGroup);
        WriteStrings(writer, "groupMembers", listed.Function.GroupMembers.Select(member => member.ToString()));
        WriteStrings(writer, "resetMethods", listed.Function.ResetMethods);
        writer.WriteString("physicalFunction", listed.Function.PhysicalFunction?.ToString());
        writer.WriteNumber("totalVirtualFunctions", listed.Function.TotalVirtualFunctions);
        WriteStrings(writer, "virtualFunctions", listed.Function.VirtualFunctions.Select(function => function.ToString()));
        if (listed.Function.NumaNode is { } node)
            writer.WriteNumber("numaNode", node);
        else
            writer.WriteNull("numaNode");
        writer.WriteString("state", listed.State);
        writer.WriteString("stateReason", listed.Why);
        AssignmentJson.Write(writer, listed.Assignment);
        WriteStrings(writer, "uses", listed.Uses);
        writer.WriteBoolean("viable", listed.Viability.Answer == Answer.Yes);
        writer.WriteString("viableReason", listed.Viability.Reason);
        DocumentJson.WriteReport(writer, listed.Report);
        writer.WriteEndObject();
    }

    private static void WriteStrings(Utf8JsonWriter writer, string name, IEnumerable<string> values)
    {
        writer.WriteStartArray(name);
        foreach (string value in values)
            writer.WriteStringValue(value);
        writer.WriteEndArray();
    }
}
