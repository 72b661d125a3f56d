using Vfio.Pci.Config;

namespace Vfio.Pci.Capabilities;

/// <summary>The text of one capability: its table's formatter sets the title and adds lines.</summary>
internal sealed class CapabilityText
{
    private readonly RegisterText _text;
    private readonly List<string> _lines = [];

    internal CapabilityText(ConfigSpace space, Capability capability, FunctionFacts facts)
    {
        Space = space;
        Capability = capability;
        Facts = facts;
        Title = capability.Name;
        _text = new RegisterText(space, capability.Offset, capability.Registers);
    }

    internal ConfigSpace Space { get; }

    internal Capability Capability { get; }

    internal FunctionFacts Facts { get; }

    /// <summary>What stands behind the heading; the name of the kind until a formatter says more.</summary>
    internal string Title { get; set; }

    internal IReadOnlyList<string> Lines => _lines;

    internal PortType PortType => new CapabilityView(Space, Capability.Offset).PortType;

    internal bool Has(string register) => _text.Has(register);

    /// <summary>Where a register is in config space, in bytes.</summary>
    internal int OffsetOf(string register) => Capability.Offset + _text.OffsetOf(register);

    internal uint Value(string register) => _text.Value(register);

    internal uint Get(string register, string field) => _text.Get(register, field);

    internal bool IsSet(string register, string field) => _text.IsSet(register, field);

    internal string Fill(string register, string template) => Has(register) ? _text.Fill(register, template) : "";

    /// <summary>Replaces the title, if the register is known that its template is about.</summary>
    internal void SetTitle(string register, string template)
    {
        if (Has(register))
            Title = _text.Fill(register, template);
    }

    /// <summary>Adds a line under the heading, unless the register is not there.</summary>
    internal void Line(string register, string template)
    {
        if (Has(register))
            _lines.Add("\t\t" + _text.Fill(register, template));
    }

    /// <summary>Adds a line that continues the one before.</summary>
    internal void More(string register, string template) => Line(register, "\t" + template);

    /// <summary>Adds a line as it is.</summary>
    internal void Add(string text) => _lines.Add("\t\t" + text);

    /// <summary>Adds a line for each register after the header with all its fields: how kinds without a formatter read.</summary>
    /// <returns>Whether there were any.</returns>
    internal bool AddAll()
    {
        Register[] body = [.. Capability.Registers.Where(register => register.Fields.Count > 0 && IsBody(register) && Has(register.Name))];
        foreach (Register register in body)
            Add($"{register.Name}: {string.Join(' ', register.Fields.Select(field => FieldWords(register, field)))}");
        return body.Length > 0;
    }

    /// <summary>Says nothing of fields that mean nothing here.</summary>
    internal void Leave(string register, params ReadOnlySpan<string> fields)
    {
        foreach (string field in fields)
            _ = Get(register, field);
    }

    /// <summary>Adds a line for what is set in fields that a formatter did not use.</summary>
    internal void AddUnprinted()
    {
        string[] unprinted = [.. _text.Unprinted()];
        if (unprinted.Length > 0)
            Add($"Also: {string.Join(", ", unprinted)}");
    }

    private bool IsBody(Register register) => register.Offset >= (Capability.IsExtended ? 4 : 2);

    private string FieldWords(Register register, Field field) => RegisterText.NameAndWords(field, Get(register.Name, field.Name));
}
