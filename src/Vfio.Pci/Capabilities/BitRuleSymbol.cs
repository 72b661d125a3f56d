namespace Vfio.Pci.Capabilities;

/// <summary>The character that stands for a rule, in drawings and in tables.</summary>
internal static class BitRuleSymbol
{
    /// <summary>What each stands for, in a line.</summary>
    internal const string Legend =
        ". fixed   p passed through   v virtual, yours to write   V virtual, the guard's   1 write 1 to clear   - hidden";

    internal static char Of(BitRule rule) => rule switch
    {
        BitRule.PassedThrough => 'p',
        BitRule.Virtual => 'v',
        BitRule.VirtualFixed => 'V',
        BitRule.WriteOneToClear => '1',
        BitRule.Hidden => '-',
        _ => '.',
    };
}
