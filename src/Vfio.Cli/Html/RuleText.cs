using Vfio.Pci.Capabilities;

namespace Vfio.Cli.Html;

/// <summary>What a rule is called on a page: its class in the style sheet, its symbol, its name and its meaning.</summary>
/// <param name="Class">Class of the style sheet.</param>
/// <param name="Symbol">As <c>vfio show --map</c> draws it.</param>
/// <param name="Name">Its name.</param>
/// <param name="Meaning">What a read gives, and what a write does.</param>
internal sealed record RuleText(string Class, char Symbol, string Name, string Meaning)
{
    /// <summary>All of them, those first that the user may write.</summary>
    internal static IReadOnlyList<RuleText> All { get; } =
    [
        new("pass", 'p', "passed through", "the user's: a write reaches the hardware"),
        new("clear", '1', "write 1 to clear", "the user's: a 1 clears the bit in the hardware, a 0 leaves it"),
        new("virt", 'v', "virtual", "the user's: a write changes a copy, and the guard does what it means"),
        new("guard", 'V', "virtual, the guard's", "the guard's: a read gives its copy, a write is dropped and counted"),
        new("fixed", '.', "fixed", "nobody's: a read gives the hardware's value, a write is dropped and counted"),
        new("hidden", '-', "hidden", "the owner's: reads as zero, a write is dropped and counted"),
    ];

    /// <summary>A rule's.</summary>
    internal static RuleText Of(BitRule rule)
    {
        char symbol = BitRuleSymbol.Of(rule);
        return All.First(text => text.Symbol == symbol);
    }
}
