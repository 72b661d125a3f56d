using System.CommandLine;
using System.CommandLine.Parsing;

namespace Vfio.Cli.Numbers;

/// <summary>An option or an argument that is a number.</summary>
internal interface INumberSymbol
{
    /// <summary>How the number is written.</summary>
    NumberRule Rule { get; }
}

/// <summary>An option that is a number, with a default.</summary>
internal sealed class NumberOption<T> : Option<T>, INumberSymbol
    where T : struct
{
    /// <summary>Makes the option; its range is added to the description.</summary>
    internal NumberOption(string name, NumberRule<T> rule, T otherwise, string description, params string[] aliases)
        : base(name, aliases)
    {
        Rule = rule;
        HelpName = rule.Placeholder;
        Description = NumberErrors.Describe(description, rule);
        CustomParser = result => NumberErrors.Parse(result, Name, rule) ?? default;
        DefaultValueFactory = _ => otherwise;
    }

    /// <inheritdoc/>
    public NumberRule Rule { get; }
}

/// <summary>An option that is a number, and null when it is left out.</summary>
internal sealed class OptionalNumberOption<T> : Option<T?>, INumberSymbol
    where T : struct
{
    /// <summary>Makes the option; its range is added to the description.</summary>
    internal OptionalNumberOption(string name, NumberRule<T> rule, string description, params string[] aliases)
        : base(name, aliases)
    {
        Rule = rule;
        HelpName = rule.Placeholder;
        Description = NumberErrors.Describe(description, rule);
        CustomParser = result => NumberErrors.Parse(result, Name, rule);
    }

    /// <inheritdoc/>
    public NumberRule Rule { get; }
}

/// <summary>An argument that is a number.</summary>
internal sealed class NumberArgument<T> : Argument<T>, INumberSymbol
    where T : struct
{
    /// <summary>Makes the argument.</summary>
    internal NumberArgument(string name, NumberRule<T> rule, string description)
        : base(name)
    {
        Rule = rule;
        Description = description;
        CustomParser = result => NumberErrors.Parse(result, Name, rule) ?? default;
    }

    /// <inheritdoc/>
    public NumberRule Rule { get; }
}

/// <summary>An argument that is a number, and null when it is left out.</summary>
internal sealed class OptionalNumberArgument<T> : Argument<T?>, INumberSymbol
    where T : struct
{
    /// <summary>Makes the argument.</summary>
    internal OptionalNumberArgument(string name, NumberRule<T> rule, string description)
        : base(name)
    {
        Rule = rule;
        Description = description;
        Arity = ArgumentArity.ZeroOrOne;
        CustomParser = result => NumberErrors.Parse(result, Name, rule);
    }

    /// <inheritdoc/>
    public NumberRule Rule { get; }
}

/// <summary>Parsing and descriptions shared by options and arguments that are numbers.</summary>
internal static class NumberErrors
{
    internal static string Describe(string description, NumberRule rule) => $"{description.TrimEnd('.')} ({rule.Range}).";

    internal static T? Parse<T>(ArgumentResult result, string name, NumberRule<T> rule)
        where T : struct
    {
        string word = result.Tokens.Count > 0 ? result.Tokens[^1].Value : "";
        if (rule.Read(word) is { } value)
            return value;
        result.AddError(rule.Refuse(name, word));
        return null;
    }
}
