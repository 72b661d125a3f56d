using System.CommandLine;
using System.Globalization;
using System.Text;

namespace Vfio.Cli.Output;

/// <summary>A manual page of section 1, made from what <c>--help</c> prints: man(7) macros, which groff and mandoc read.</summary>
internal sealed class ManualPage
{
    private static readonly (string Address, string Means)[] Addresses =
    [
        ("0000:01:00.0", "A function of this machine that is bound to a VFIO driver."),
        ("unix:PATH", "A vfio-user server. unix:PATH?timeout=5s sets how long it may take to answer; ?reconnect=5s waits for one that went away."),
        ("model:NAME", "An emulated device in this process: edu, bench or nvme. model:nvme?size=64M has its data in memory, model:nvme?image=PATH in "
            + "a raw image or a block device; &readonly=1 never writes."),
        ("mdev:UUID", "A mediated device."),
    ];

    private static readonly (string Code, string Means)[] ExitCodes =
    [
        ("0", "Done."),
        (Invariant(CommandLine.Refused), "A device, a peer or the system refused. One line on standard error says what was being done, why it failed and "
            + "what to do, and ends with the errno."),
        (Invariant(CommandLine.Misused), "An argument or an option is wrong."),
        (Invariant(CommandLine.Faulty), "A fault of vfio itself."),
        (Invariant(CommandLine.NobodyReads), "Nobody reads standard output any more."),
    ];

    private readonly StringBuilder _text = new();
    private readonly Command _command;
    private readonly RootCommand _root;
    private readonly IReadOnlyList<Example> _examples;

    private ManualPage(Command command, RootCommand root, IReadOnlyList<Example> examples)
    {
        _command = command;
        _root = root;
        _examples = examples;
    }

    private string Name => _command == _root ? "vfio" : $"vfio-{_command.Name}";

    /// <summary>Makes the page of the command itself, and one of each verb that its help lists.</summary>
    /// <param name="root">The command.</param>
    /// <param name="verbs">Its verbs, for their examples.</param>
    /// <param name="date">The pages' date.</param>
    /// <returns>The name of each file (<c>vfio.1</c>, <c>vfio-serve.1</c>), and its text.</returns>
    internal static IEnumerable<(string File, string Text)> WriteAll(RootCommand root, IReadOnlyList<Verb> verbs, DateTimeOffset date)
    {
        IEnumerable<ManualPage> pages = verbs.Where(verb => !verb.IsHidden)
            .Select(verb => new ManualPage(root.Subcommands.Single(command => command.Name == verb.Name), root, verb.Examples))
            .Prepend(new ManualPage(root, root, HelpWithExamples.General));
        return pages.Select(page => ($"{page.Name}.1", page.Write(date)));
    }

    private string Write(DateTimeOffset date)
    {
        string day = date.UtcDateTime.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        string description = _command.Description ?? "";
        Macro($"TH {Escape(Name.ToUpperInvariant())} 1 \"{day}\" \"vfio {VersionAction.Version}\" \"User Commands\"");
        Section("NAME");
        Line($"{Escape(Name)} \\- {Escape(ToPhrase(description))}");
        Section("SYNOPSIS");
        if (_command == _root)
            Line("\\fBvfio\\fR \\fIverb\\fR [\\fIargument\\fR ...] [\\fIoption\\fR ...]");
        else
            Synopsis(_command);
        Section("DESCRIPTION");
        Line(Escape(description));
        Arguments(_command, isPage: true);
        if (_command == _root)
            Verbs();
        else
            Subcommands();
        Options(_command, isPage: true);
        if (_command == _root)
            Entries("ADDRESSES", Addresses);
        Entries("EXIT STATUS", ExitCodes);
        if (_command == _root)
            Entries("ENVIRONMENT", [(CommandLine.TraceVariable, "With 1, an error prints its stack trace too.")]);
        Section("EXAMPLES");
        foreach (Example example in _examples)
            Entry($"\\fB{Escape(example.Command)}\\fR", Capital(example.Does) + ".");
        SeeAlso();
        return _text.ToString();
    }

    private void Verbs()
    {
        Section("VERBS");
        foreach (Command verb in _root.Subcommands.Where(verb => !verb.Hidden))
            Entry(Reference($"vfio-{verb.Name}"), verb.Description ?? "");
    }

    private void Subcommands()
    {
        if (_command.Subcommands.Count == 0)
            return;
        Section("COMMANDS");
        foreach (Command command in _command.Subcommands)
        {
            Macro($"SS \"{Escape(command.Name)}\"");
            Synopsis(command);
            Macro("PP");
            Line(Escape(command.Description ?? ""));
            Arguments(command, isPage: false);
            Options(command, isPage: false);
        }
    }

    private void Synopsis(Command command)
    {
        IEnumerable<Command> path = command == _command ? [command] : [_command, command];
        IEnumerable<string> words = path.Select(part => $"\\fB{Escape(part.Name)}\\fR"
            + string.Concat(part.Arguments.Where(argument => !argument.Hidden).Select(argument => " " + Placeholder(argument))));
        string more = command.Subcommands.Count > 0 ? " \\fIcommand\\fR" : "";
        Line($"\\fBvfio\\fR {string.Join(' ', words)}{more} [\\fIoption\\fR ...]");
    }

    private void Arguments(Command command, bool isPage)
    {
        Argument[] arguments = [.. command.Arguments.Where(argument => !argument.Hidden)];
        if (isPage && arguments.Length > 0)
            Section("ARGUMENTS");
        foreach (Argument argument in arguments)
            Entry(Placeholder(argument), argument.Description ?? "");
    }

    private void Options(Command command, bool isPage)
    {
        Option[] options = [.. command.Options.Where(option => !option.Hidden)];
        if (isPage && options.Length > 0)
            Section("OPTIONS");
        foreach (Option option in options)
        {
            IEnumerable<string> names = option.Aliases.Prepend(option.Name).Distinct()
                .Where(name => name.StartsWith('-')).OrderBy(name => name.Length).ThenBy(name => name, StringComparer.Ordinal);
            string value = option.Arity.MaximumNumberOfValues == 0 || option.ValueType == typeof(bool)
                ? ""
                : $" \\fI{Escape(option.HelpName ?? option.Name.TrimStart('-'))}\\fR";
            string otherwise = value.Length > 0 && option.HasDefaultValue && option.GetDefaultValue() is { } given
                ? $" Default: {Convert.ToString(given, CultureInfo.InvariantCulture)}."
                : "";
            Entry(string.Join(", ", names.Select(name => $"\\fB{Escape(name)}\\fR")) + value, (option.Description ?? "") + otherwise);
        }
    }

    private void SeeAlso()
    {
        IEnumerable<string> others = _root.Subcommands.Where(verb => !verb.Hidden && verb != _command)
            .Select(verb => $"vfio-{verb.Name}").Order(StringComparer.Ordinal);
        Section("SEE ALSO");
        Line(string.Join(", ", (_command == _root ? others : others.Prepend("vfio")).Select(Reference)));
    }

    private void Entries(string section, (string Term, string Text)[] entries)
    {
        Section(section);
        foreach ((string term, string text) in entries)
            Entry($"\\fB{Escape(term)}\\fR", text);
    }

    private void Entry(string term, string text)
    {
        Macro("TP");
        Line(term);
        Line(Escape(text));
    }

    private void Section(string title) => Macro($"SH {title}");

    private void Macro(string macro) => _text.Append('.').Append(macro).Append('\n');

    // A line that began with a dot or a quote would be a macro.
    private void Line(string line) => _text.Append(line is ['.' or '\'', ..] ? "\\&" : "").Append(line).Append('\n');

    private static string Reference(string page) => $"\\fB{Escape(page)}\\fR(1)";

    private static string Placeholder(Argument argument)
    {
        string name = $"\\fI{Escape(argument.HelpName ?? argument.Name)}\\fR";
        string repeated = argument.Arity.MaximumNumberOfValues > 1 ? name + " ..." : name;
        return argument.Arity.MinimumNumberOfValues == 0 ? $"[{repeated}]" : repeated;
    }

    /// <summary>A sentence as the phrase that whatis(1) lists: no capital, no full stop.</summary>
    private static string ToPhrase(string sentence)
    {
        string bare = sentence.TrimEnd('.');
        return bare is [var first, var second, ..] && !char.IsUpper(second) ? char.ToLowerInvariant(first) + bare[1..] : bare;
    }

    private static string Capital(string phrase) => phrase.Length > 0 ? char.ToUpperInvariant(phrase[0]) + phrase[1..] : phrase;

    private static string Invariant(int number) => number.ToString(CultureInfo.InvariantCulture);

    /// <summary>Text as it is: characters that roff replaces by typographic ones, or takes for its own, become escapes.</summary>
    private static string Escape(string text)
    {
        StringBuilder escaped = new(text.Length);
        foreach (char letter in text)
        {
            _ = letter switch
            {
                '\\' => escaped.Append("\\e"),
                '-' => escaped.Append("\\-"),
                '\'' => escaped.Append("\\(aq"),
                '`' => escaped.Append("\\(ga"),
                '^' => escaped.Append("\\(ha"),
                '~' => escaped.Append("\\(ti"),
                '"' => escaped.Append("\\(dq"),
                '\n' => escaped.Append(' '),
                _ => escaped.Append(letter),
            };
        }

        return escaped.ToString();
    }
}
