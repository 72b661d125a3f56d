using System.Text.Json;
using Vfio.Kernel;
using Vfio.Kernel.Binding;

namespace Vfio.Cli.List;

/// <summary>To whom a function is assigned and who has it open, as two members of a JSON object.</summary>
internal static class AssignmentJson
{
    internal static void Write(Utf8JsonWriter writer, FunctionAssignment? assignment)
    {
        writer.WriteString("assignedTo", assignment?.To);
        writer.WriteStartArray("openBy");
        foreach (OpenFileUser user in assignment?.OpenBy ?? [])
        {
            writer.WriteStartObject();
            writer.WriteString("user", user.User);
            writer.WriteNumber("pid", user.ProcessId);
            writer.WriteString("command", user.Name);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }
}
