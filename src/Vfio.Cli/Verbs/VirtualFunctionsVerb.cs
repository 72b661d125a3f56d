using System.CommandLine;
using System.Text.Json;
using Vfio.Cli.Numbers;
using Vfio.Cli.Output;
using Vfio.Kernel;
using Vfio.Kernel.Binding;
using Vfio.Pci;

namespace Vfio.Cli.Verbs;

/// <summary>Makes virtual functions.</summary>
internal sealed class VirtualFunctionsVerb() : Verb("vfs", "Set how many virtual functions (SR-IOV) a function has.")
{
    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio vfs 0000:01:00.0 2", "make two; prints their addresses"),
        new("vfio vfs 0000:01:00.0 0", "remove them"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<PciAddress> function = SharedOptions.Function();
        NumberArgument<int> count = new("count", NumberRules.Count(0, ushort.MaxValue, 2), "How many; 0 for none.");
        Option<bool> json = SharedOptions.Json();
        command.Add(function);
        command.Add(count);
        command.Add(json);
        command.SetAction(parsed =>
        {
            PciAddress address = parsed.GetValue(function);
            IReadOnlyList<PciAddress> made = new DeviceBinder().SetVirtualFunctions(address, parsed.GetValue(count));
            TextWriter output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
                Json.Print(output, writer => Write(writer, address, made));
            else
                made.ToList().ForEach(each => output.WriteLine(each));
        });
    }

    private static void Write(Utf8JsonWriter writer, PciAddress address, IReadOnlyList<PciAddress> made)
    {
        writer.WriteStartObject();
        writer.WriteString("function", address.ToString());
        writer.WriteStartArray("virtualFunctions");
        foreach (PciAddress each in made)
            writer.WriteStringValue(each.ToString());
        writer.WriteEndArray();
        writer.WriteEndObject();
    }
}
