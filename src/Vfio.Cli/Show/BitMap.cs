using System.Text;
using Vfio.Pci;
using Vfio.Pci.Capabilities;
using Vfio.Pci.Decoding;

namespace Vfio.Cli.Show;

/// <summary>Draws registers bit by bit: the rule of each bit for the user of an assigned function.</summary>
internal static class BitMap
{
    internal static IEnumerable<string> Lines(FunctionDocument document)
    {
        yield return $"\t{BitRuleSymbol.Legend}";
        yield return "\tHeader";
        foreach (string line in document.Header.Select(Draw))
            yield return line;
        foreach (CapabilityDocument capability in document.Capabilities)
        {
            yield return $"\tCapabilities: {capability.Heading} {capability.Capability.Name}";
            foreach (string line in capability.Registers.Select(Draw))
                yield return line;
        }
    }

    private static string Draw(RegisterValue register)
    {
        StringBuilder bits = new();
        for (int bit = (8 * register.Register.Bytes) - 1; bit >= 0; bit--)
        {
            bits.Append(BitRuleSymbol.Of(RuleOf(register.Register, bit)));
            if (bit % 8 == 0 && bit > 0)
                bits.Append(' ');
        }

        string changeable = string.Join(' ', register.Register.Fields.Where(field => IsChangeable(field.Rule)).Select(field => field.Name));
        return $"\t\t{register.Offset:x3} {register.Register.Name,-28} {bits,35}  {changeable}".TrimEnd();
    }

    private static BitRule RuleOf(Register register, int bit) =>
        register.Fields.FirstOrDefault(field => bit <= field.High && bit >= field.Low)?.Rule ?? BitRule.Fixed;

    private static bool IsChangeable(BitRule rule) => rule is BitRule.PassedThrough or BitRule.Virtual or BitRule.WriteOneToClear;
}
