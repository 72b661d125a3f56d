using System.Text.Json;
using Vfio.Kernel;
using Vfio.Kernel.Binding;

namespace Vfio.Cli.List;

/// <summary>What <c>vfio bind</c> would do or did, as a JSON document.</summary>
internal static class BindJson
{
    /// <param name="writer">Where to.</param>
    /// <param name="function">The function that was asked for.</param>
    /// <param name="plan">What was planned.</param>
    /// <param name="isDryRun">Whether nothing was done because nothing should be.</param>
    /// <param name="after">To whom the function is assigned afterwards.</param>
    internal static void Write(Utf8JsonWriter writer, string function, BindPlan plan, bool isDryRun, FunctionAssignment? after)
    {
        writer.WriteStartObject();
        writer.WriteString("function", function);
        writer.WriteString("iommuGroup", plan.Group);
        writer.WriteBoolean("dryRun", isDryRun);
        writer.WriteBoolean("changed", !isDryRun && plan.Refusal is null && !plan.IsDone);
        writer.WriteStartArray("members");
        foreach (BindStep step in plan.Members)
        {
            writer.WriteStartObject();
            writer.WriteString("address", step.Function.ToString());
            writer.WriteString("driver", step.Driver);
            writer.WriteString("action", step.Action switch
            {
                BindAction.Keep => "keep",
                BindAction.None => "none",
                _ => "bind",
            });
            writer.WriteStartArray("uses");
            foreach (string use in step.Uses)
                writer.WriteStringValue(use);
            writer.WriteEndArray();
            writer.WriteString("assignedBefore", step.Assignment?.To);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        AssignmentJson.Write(writer, after);
        if (plan.Refusal is { } refusal)
        {
            writer.WriteStartObject("refusal");
            writer.WriteNumber("errno", (int)refusal.Errno);
            writer.WriteString("message", refusal.Message);
            writer.WriteEndObject();
        }
        else
        {
            writer.WriteNull("refusal");
        }

        writer.WriteEndObject();
    }
}
