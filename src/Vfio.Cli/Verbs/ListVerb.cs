using System.CommandLine;
using Vfio.Cli.Output;
using Vfio.Cli.Show;
using Vfio.Kernel;
using Vfio.Pci;

namespace Vfio.Cli.Verbs;

/// <summary>Lists the PCI functions of this machine.</summary>
internal sealed class ListVerb() : Verb("ls", "List the PCI functions of this machine.")
{
    private static readonly string[] Headings = ["ADDRESS", "IDS", "CLASS", "NAME", "DRIVER", "GROUP", "RESET"];

    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio ls", "a table"),
        new("vfio ls --json", "the same as data"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Option<bool> json = Words.Json();
        command.Add(json);
        command.SetAction(parsed =>
        {
            TextWriter output = parsed.InvocationConfiguration.Output;
            Row[] rows = [.. new PciTopology().Functions.Select(Describe)];
            if (parsed.GetValue(json))
                Print(output, rows);
            else if (rows.Length == 0)
                output.WriteLine("this machine has no PCI functions; 'vfio show model:edu' shows one made of software");
            else
                TextTable.Print(output, Headings, rows.Select(row => row.Cells));
        });
    }

    private static Row Describe(KernelFunction function)
    {
        ConfigSpace space = function.ReadConfig();
        return new Row(
            function.Address.ToString(),
            space.VendorId,
            space.DeviceId,
            FunctionView.Names.Class(space.Read16(0x0a)),
            FunctionView.Names.Device(space.VendorId, space.DeviceId),
            function.Driver,
            function.IommuGroup,
            function.ResetMethods);
    }

    private static void Print(TextWriter output, Row[] rows) => Json.Print(output, writer =>
    {
        writer.WriteStartArray();
        foreach (Row row in rows)
        {
            writer.WriteStartObject();
            writer.WriteString("address", row.Address);
            writer.WriteString("vendor", $"{row.Vendor:x4}");
            writer.WriteString("device", $"{row.Device:x4}");
            writer.WriteString("class", row.Class);
            writer.WriteString("name", row.Name);
            writer.WriteString("driver", row.Driver);
            writer.WriteString("iommuGroup", row.Group);
            writer.WriteStartArray("resetMethods");
            foreach (string method in row.ResetMethods)
                writer.WriteStringValue(method);
            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    });

    private sealed record Row(
        string Address, ushort Vendor, ushort Device, string Class, string Name, string? Driver, string? Group, IReadOnlyList<string> ResetMethods)
    {
        internal IReadOnlyList<string> Cells =>
            [Address, $"{Vendor:x4}:{Device:x4}", Class, Name, Driver ?? "-", Group ?? "-", ResetMethods.Count > 0 ? string.Join(' ', ResetMethods) : "-"];
    }
}
