using System.CommandLine;
using Vfio.Cli.Numbers;
using Vfio.Cli.Output;
using Vfio.Cli.Verbs;
using Vfio.Drivers.Nvme;

namespace Vfio.Cli.Nvme;

/// <summary>Shows what a controller and its namespaces are.</summary>
internal static class IdentifyCommand
{
    private static readonly Column[] Headings =
    [
        Column.Number("NAMESPACE"), Column.Number("BYTES"), Column.Number("BLOCKS"), Column.Number("BLOCK"), Column.Number("USED"),
        Column.Number("METADATA"), "STATUS",
    ];

    internal static Command Create(Argument<string> address, Option<Duration> timeout)
    {
        Command command = new("identify", "Show what the controller and its namespaces are.");
        Option<bool> json = SharedOptions.Json();
        command.Add(json);
        command.SetAction(parsed =>
        {
            using NvmeController controller = NvmeArguments.Open(parsed.GetValue(address)!, parsed.OpenOptions(timeout));
            TextWriter output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
                PrintJson(output, controller);
            else
                PrintText(output, controller);
        });
        return command;
    }

    private static void PrintText(TextWriter output, NvmeController controller)
    {
        NvmeControllerInfo info = controller.Info;
        output.WriteLine($"{controller.Name}: {info.ModelNumber}, serial {info.SerialNumber}, firmware {info.FirmwareRevision}");
        output.WriteLine(
            $"NVM Express {info.Version}, controller {info.ControllerId}, " +
            $"PCI {controller.Device.VendorId:x4}:{controller.Device.DeviceId:x4}");
        output.WriteLine(
            $"queues of {controller.Capabilities.MaxQueueEntries} entries, {info.MaxTransferBytes >> 10} KiB a command, " +
            $"ready within {controller.Capabilities.ReadyTimeout.TotalSeconds} s, " +
            $"{(info.HasVolatileWriteCache ? "a volatile" : "no volatile")} write cache");
        TextTable.Print(output, Headings, controller.Namespaces.Select(Row));
    }

    private static IReadOnlyList<string> Row(NvmeNamespace one) =>
    [
        $"{one.Id}", $"{one.Length}", $"{one.Blocks}", $"{one.BlockBytes}", $"{one.UsedBlocks}", $"{one.MetadataBytes}",
        one.IsReady ? "ready" : $"{one.Status}",
    ];

    private static void PrintJson(TextWriter output, NvmeController controller) => Json.Print(output, writer =>
    {
        NvmeControllerInfo info = controller.Info;
        writer.WriteStartObject();
        writer.WriteString("address", controller.Name);
        writer.WriteString("model", info.ModelNumber);
        writer.WriteString("serial", info.SerialNumber);
        writer.WriteString("firmware", info.FirmwareRevision);
        writer.WriteString("version", info.Version.ToString());
        writer.WriteNumber("controller", info.ControllerId);
        writer.WriteNumber("maxQueueEntries", controller.Capabilities.MaxQueueEntries);
        writer.WriteNumber("maxTransferBytes", info.MaxTransferBytes);
        writer.WriteBoolean("volatileWriteCache", info.HasVolatileWriteCache);
        writer.WriteStartArray("namespaces");
        foreach (NvmeNamespace one in controller.Namespaces)
        {
            writer.WriteStartObject();
            writer.WriteNumber("id", one.Id);
            writer.WriteNumber("bytes", one.Length);
            writer.WriteNumber("blocks", one.Blocks);
            writer.WriteNumber("blockBytes", one.BlockBytes);
            writer.WriteNumber("usedBlocks", one.UsedBlocks);
            writer.WriteNumber("metadataBytes", one.MetadataBytes);
            writer.WriteBoolean("ready", one.IsReady);
            writer.WriteString("status", one.Status.ToString());
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    });
}
