namespace Vfio.Conformance;

/// <summary>One sentence of the specification, with an exchange of messages that shows whether a server conforms to it.</summary>
public sealed class Check
{
    private readonly Func<Trial, Outcome> _try;

    /// <summary>Makes a check.</summary>
    /// <param name="name"><c>group.what</c>, lower case.</param>
    /// <param name="section">Title of the specification's section.</param>
    /// <param name="rule">What it requires of a server, rephrased.</param>
    /// <param name="attempt">The exchange.</param>
    internal Check(string name, string section, string rule, Func<Trial, Outcome> attempt) =>
        (Name, Section, Rule, _try) = (name, section, rule, attempt);

    /// <summary>Its name: a group and a word, for example <c>dma-map.overlap-tail</c>. Unique.</summary>
    public string Name { get; }

    /// <summary>The group: the part of <see cref="Name"/> before the point.</summary>
    public string Group => Name[..Name.IndexOf('.', StringComparison.Ordinal)];

    /// <summary>Title of the section of <c>docs/interop/vfio-user.rst</c> in QEMU that the sentence is from.</summary>
    public string Section { get; }

    /// <summary>What the section requires of a server, rephrased.</summary>
    public string Rule { get; }

    /// <summary>Runs the exchange.</summary>
    internal Outcome Try(Trial trial) => _try(trial);

    /// <inheritdoc/>
    public override string ToString() => Name;
}
