namespace Vfio.Cli.Numbers;

/// <summary>How a number on the command line is written: its unit, its range and an example.</summary>
/// <param name="Kind">What it is, with an article: <c>a time</c>.</param>
/// <param name="Range">The least and the most, as they would be typed: <c>1s to 1d</c>.</param>
/// <param name="Example">An example, perhaps in two forms: <c>30s</c>.</param>
internal abstract record NumberRule(string Kind, string Range, string Example)
{
    /// <summary>Its placeholder in help: the last word of its kind.</summary>
    internal string Placeholder => Kind[(Kind.LastIndexOf(' ') + 1)..];

    /// <summary>The error for a word that is not valid: one sentence.</summary>
    /// <param name="name">The option or argument.</param>
    /// <param name="word">The word that was given.</param>
    internal string Refuse(string name, string word) => $"{name} takes {Kind} from {Range}, for example {Example}, not '{word}'.";
}

/// <summary>How a number of a type is written.</summary>
/// <typeparam name="T">The value: an integer or a <see cref="Duration"/>.</typeparam>
/// <param name="Kind">What it is, with an article.</param>
/// <param name="Range">The least and the most, as they would be typed.</param>
/// <param name="Example">What to type.</param>
/// <param name="Read">Reads a word; null when it is none, or out of range.</param>
internal sealed record NumberRule<T>(string Kind, string Range, string Example, Func<string, T?> Read) : NumberRule(Kind, Range, Example)
    where T : struct;
