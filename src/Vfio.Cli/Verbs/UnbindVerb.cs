using System.CommandLine;
using System.Text.Json;
using Vfio.Cli.Numbers;
using Vfio.Cli.Output;
using Vfio.Kernel;
using Vfio.Kernel.Binding;
using Vfio.Pci;

namespace Vfio.Cli.Verbs;

/// <summary>Undoes <c>vfio bind</c>.</summary>
internal sealed class UnbindVerb() : Verb("unbind", "Release a function and its IOMMU group to the drivers that had them.")
{
    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio unbind 0000:01:00.0", "undo 'vfio bind'; fails and names the process if it is open"),
        new("vfio unbind 0000:01:00.0 --wait 30s", "request its release, and wait up to 30 seconds for the processes that have it open"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<PciAddress> function = SharedOptions.Function();
        OptionalNumberOption<Duration> wait = new(
            "--wait", NumberRules.Time(Duration.Seconds(1), Duration.Days(1), Duration.Seconds(30)),
            "Ask who has it open to let go, and wait at most so long.");
        Option<bool> json = SharedOptions.Json();
        command.Add(function);
        command.Add(wait);
        command.Add(json);
        command.SetAction(parsed =>
        {
            TimeSpan? grace = parsed.GetValue(wait)?.Time;
            PciAddress address = parsed.GetValue(function);
            IReadOnlyList<ReleasedFunction> released = new DeviceBinder().Unbind(address, grace);
            TextWriter output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
                Json.Print(output, writer => Write(writer, address, released));
            else
                released.ToList().ForEach(member => output.WriteLine(Sentence(member)));
        });
    }

    private static string Sentence(ReleasedFunction released) => released switch
    {
        { IsGone: true } => $"{released.Function} was unplugged",
        { Driver: { } driver } => $"{released.Function} has the driver {driver}",
        { PreviousDriver: { } before } => $"{released.Function} has no driver: its previous driver {before} is not loaded, or did not bind to it",
        _ => $"{released.Function} has no driver",
    };

    private static void Write(Utf8JsonWriter writer, PciAddress address, IReadOnlyList<ReleasedFunction> released)
    {
        writer.WriteStartObject();
        writer.WriteString("function", address.ToString());
        writer.WriteStartArray("released");
        foreach (ReleasedFunction member in released)
        {
            writer.WriteStartObject();
            writer.WriteString("address", member.Function.ToString());
            writer.WriteString("driver", member.Driver);
            writer.WriteString("previousDriver", member.PreviousDriver);
            writer.WriteBoolean("unplugged", member.IsGone);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }
}
