using System.CommandLine;
using System.Text;
using Vfio.Cli.Html;
using Vfio.Cli.Numbers;
using Vfio.Cli.Output;
using Vfio.Cli.Show;
using Vfio.Kernel;
using Vfio.Pci;
using Vfio.Pci.Decoding;
using Vfio.Pci.Dumps;

namespace Vfio.Cli.Verbs;

/// <summary>Decodes config space, and shows which bits a user of the function may change.</summary>
internal sealed class ShowVerb() : Verb("show", "Decode a function: config space, capabilities, regions, interrupts.")
{
    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio show", "all functions of this machine, as lspci -vvv prints them"),
        new("vfio show 0000:00:03.0", "one of them"),
        new("vfio show model:edu --map", "and which of its bits a user may change"),
        new("lspci -xxxx | vfio show --from -", "from a dump; a file's name works too"),
        new("vfio show model:edu --table edu.table", "all that the device has, as a self-describing table"),
        new("vfio show --from edu.table", "what such a table says"),
        new("vfio show model:edu --html edu.html", "one file for a browser, to attach to a report: config space bit by bit"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<string?> address = new("address") { Description = "The device; without one, all functions of this machine.", Arity = ArgumentArity.ZeroOrOne };
        Option<string?> from = new("--from") { HelpName = "file", Description = "Read an lspci -xxxx dump, or a table, from this file, or from standard input (-)." };
        Option<string?> table = new("--table") { HelpName = "file", Description = "Write the device as a self-describing table to this file, or to standard output (-)." };
        Option<string?> html = new("--html") { HelpName = "file", Description = "Write one HTML file that needs no other, for a browser, to this file, or to standard output (-)." };
        Option<bool> map = new("--map") { Description = "Draw which bits a user of the function may change." };
        Option<bool> json = SharedOptions.Json();
        NumberOption<Duration> timeout = SharedOptions.Timeout();
        command.Add(address);
        command.Add(timeout);
        command.Add(from);
        command.Add(table);
        command.Add(html);
        command.Add(map);
        command.Add(json);
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(address) is not null && parsed.GetValue(from) is not null)
                throw new MisuseException("Give either an address or --from FILE.");
            TextWriter output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(table) is { } to)
            {
                WriteTable(parsed.GetValue(address) ?? throw new MisuseException("Give the address of the device whose table is to be written."), to,
                    parsed.OpenOptions(timeout));
                return;
            }

            byte[]? dump = parsed.GetValue(from) is { } file ? UserFile.ReadAll(file) : null;
            if (dump is not null && DeviceTable.IsTable(dump))
            {
                if (parsed.GetValue(html) is not null)
                    throw new MisuseException("A table is printed as text: give --html with an address or an lspci dump.");
                foreach (string line in TableText.Lines(DeviceTable.Parse(dump)))
                    output.WriteLine(line);
                return;
            }

            FunctionView[] views = [.. Find(parsed.GetValue(address), parsed.GetValue(from), dump, parsed.OpenOptions(timeout))];
            if (parsed.GetValue(html) is { } page)
                UserFile.WriteAll(page, Encoding.UTF8.GetBytes(StillPage.Of(views, DateTime.UtcNow)));
            else if (parsed.GetValue(json))
                Json.Print(output, writer => DocumentJson.Write(writer, views.Select(view => (view, ConfigDecoder.Decode(view.Space, view.Facts)))));
            else
                Print(output, views, parsed.GetValue(map));
        });
    }

    private static void WriteTable(string address, string to, VfioDeviceOptions options)
    {
        using DeviceSource source = DeviceSource.Find(address, options);
        using IVfioDevice device = source.Open();
        UserFile.WriteAll(to, DeviceTable.Write(device));
    }

    private static IEnumerable<FunctionView> Find(string? address, string? from, byte[]? dump, VfioDeviceOptions options)
    {
        if (from is not null)
            return ReadDump(from, dump!);
        return address is not null ? [FunctionView.Open(address, options)] : new PciTopology().Functions.Select(FunctionView.Of);
    }

    private static FunctionView[] ReadDump(string from, byte[] dump)
    {
        using StreamReader text = new(new MemoryStream(dump));
        try
        {
            FunctionView[] views = [.. LspciDump.Parse(text).Select(FunctionView.Of)];
            return views.Length > 0
                ? views
                : throw new VfioException("reading functions", from, Errno.InvalidArgument, "it has no hex; dump with 'lspci -xxxx'");
        }
        catch (FormatException mistake)
        {
            throw new VfioException("reading functions", from, Errno.InvalidArgument, mistake.Message);
        }
    }

    private static void Print(TextWriter output, FunctionView[] views, bool map)
    {
        foreach (FunctionView view in views)
        {
            if (!view.IsPci)
            {
                foreach (string line in view.Device!.Lines.Prepend($"{view.Name}: platform device"))
                    output.WriteLine(line);
                continue;
            }

            FunctionDocument document = ConfigDecoder.Decode(view.Space, view.Facts);
            if (map)
            {
                foreach (string line in BitMap.Lines(document).Prepend(document.Title))
                    output.WriteLine(line);
            }
            else
            {
                foreach (string line in document.Lines.Concat(view.Device?.Lines ?? []))
                    output.WriteLine(line);
            }

            output.WriteLine();
        }
    }
}
