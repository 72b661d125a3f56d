using System.CommandLine;
using Vfio.Cli.Numbers;
using Vfio.Cli.Show;
using Vfio.Kernel;
using Vfio.Pci;
using Vfio.Pci.Decoding;
using Vfio.Pci.Dumps;

namespace Vfio.Cli.Verbs;

/// <summary>Writes config space as hex that lspci reads.</summary>
internal sealed class DumpVerb() : Verb("dump", "Write config space as hex that lspci -F reads.")
{
    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio dump model:edu | lspci -F /dev/stdin -vvv", "decode with lspci"),
        new("vfio dump > machine.txt", "all functions of this machine"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Argument<string?> address = new("address") { Description = "The device; without one, all functions of this machine.", Arity = ArgumentArity.ZeroOrOne };
        NumberOption<Duration> timeout = SharedOptions.Timeout();
        command.Add(address);
        command.Add(timeout);
        command.SetAction(parsed =>
        {
            IEnumerable<FunctionView> views = parsed.GetValue(address) is { } one
                ? [FunctionView.Open(one, parsed.OpenOptions(timeout))]
                : new PciTopology().Functions.Select(FunctionView.Of);
            LspciDump.Write(parsed.InvocationConfiguration.Output, views.Select(Dump));
        });
    }

    // A dump needs a bus address. Models and devices behind a socket have none on this machine.
    private static DumpedFunction Dump(FunctionView view) => !view.IsPci
        ? throw new VfioException("reading of config space", view.Name, Errno.NoDevice, "it is no PCI function")
        : new(view.Facts.Address ?? default, ConfigDecoder.Decode(view.Space, view.Facts with { Address = null }).Title, view.Space);
}
