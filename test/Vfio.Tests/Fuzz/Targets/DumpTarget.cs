using Vfio.Pci;
using Vfio.Pci.Capabilities;
using Vfio.Pci.Decoding;
using Vfio.Pci.Dumps;
using Vfio.Pci.Rules;

namespace Vfio.Tests.Fuzz.Targets;

/// <summary>The text of <c>lspci -xxxx</c>: parsed, decoded, ruled and checked.</summary>
internal static class DumpTarget
{
    private const int MostFunctions = 4;

    public static void Run(byte[] bytes)
    {
        IReadOnlyList<DumpedFunction> functions;
        try
        {
            functions = LspciDump.Parse(new StringReader(System.Text.Encoding.Latin1.GetString(bytes)));
        }
        catch (FormatException)
        {
            return;
        }

        foreach (DumpedFunction function in functions.Take(MostFunctions))
        {
            _ = ConfigDecoder.Decode(function.Space, new FunctionFacts { Address = function.Address }).Lines.Count();
            _ = new ConfigRules(function.Space).Conflicts.Count;
        }
    }
}
