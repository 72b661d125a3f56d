using System.Text;
using Vfio.Pci;
using Vfio.Pci.Capabilities;
using Vfio.Pci.Decoding;

namespace Vfio.Cli.Show;

/// <summary>Draws registers bit by bit: the rule of each bit for the user of an assigned function.</summary>
internal static class BitMap
{
    internal const string Legend =
        ". fixed   p passed through   v virtual, yours to write   V virtual, the guard's   1 write 1 to clear   - hidden";

    internal static IEnumerable<string> Lines(FunctionDocument document)
    {
        yield return $"\t{Legend}";
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
            bits.Append(Symbol(RuleOf(register.Register, bit)));
            if (bit % 8 == 0 && bit > 0)
                bits.Append(' ');
        }

        string changeable = string.Join(' ', register.Register.Fields.Where(field => IsChangeable(field.Rule)).Select(field => field.Name));
        return $"\t\t{register.Offset:x3} {register.Register.Name,-28} {bits,35}  {changeable}".TrimEnd();
    }

    private static BitRule RuleOf(Register register, int bit) =>
        register.Fields.FirstOrDefault(field => bit <= field.High && bit >= field.Low)?.Rule ?? BitRule.Fixed;

    private static bool IsChangeable(BitRule rule) => rule is BitRule.PassedThrough or BitRule.Virtual or BitRule.WriteOneToClear;

    private static char Symbol(BitRule rule) => rule switch
    {
        BitRule.PassedThrough => 'p',
        BitRule.Virtual => 'v',
        BitRule.VirtualFixed => 'V',
        BitRule.WriteOneToClear => '1',
        BitRule.Hidden => '-',
        _ => '.',
    };
}
