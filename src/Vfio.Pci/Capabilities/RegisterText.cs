using System.Text;
using Vfio.Pci.Config;

namespace Vfio.Pci.Capabilities;

/// <summary>Puts the values of registers into words, from templates that name fields.</summary>
/// <remarks>
/// In a template, <c>{Field}</c> is the field in words: <c>Field+</c> or <c>Field-</c> for a bit, its format or hex for a wider one.
/// <c>{Field!}</c> is a bit's sign alone. <c>{Register:Field}</c> is a field of another register.
/// </remarks>
internal sealed class RegisterText
{
    private readonly ConfigSpace _space;
    private readonly int _start;
    private readonly Dictionary<string, Register> _registers = [];
    private readonly HashSet<Field> _notified = new(ReferenceEqualityComparer.Instance);

    /// <summary>Takes the registers of one structure.</summary>
    /// <param name="space">Where their values are.</param>
    /// <param name="start">Offset of the structure.</param>
    /// <param name="registers">Names are unique; registers that are not wholly known are as if they were not there.</param>
    internal RegisterText(ConfigSpace space, int start, IEnumerable<Register> registers)
    {
        _space = space;
        _start = start;
        foreach (Register register in registers.Where(register => space.Knows(start + register.Offset, register.Bytes)))
            _registers.Add(register.Name, register);
    }

    internal bool Has(string register) => _registers.ContainsKey(register);

    internal int OffsetOf(string register) => _registers[register].Offset;

    internal uint Value(string register)
    {
        _notified.UnionWith(_registers[register].Fields);
        return Value(_registers[register]);
    }

    /// <summary>Fields that no formatter used, of registers that one did use, where they are not 0.</summary>
    internal IEnumerable<string> Unprinted() =>
        from register in _registers.Values
        where register.Fields.Any(_notified.Contains)
        from field in register.Fields
        where !_notified.Contains(field)
        let value = Value(register).Get(field.High, field.Low)
        where value != 0
        select $"{register.Name} {NameAndWords(field, value)}";

    /// <summary>A field as a list of all fields shows it: <c>Name+</c> for a bit, else <c>Name=words</c>.</summary>
    internal static string NameAndWords(Field field, uint value) =>
        field.Format is null && field.High == field.Low ? field.Name + TextOf(field, value) : $"{field.Name}={TextOf(field, value)}";

    internal uint Get(string register, string field)
    {
        Field found = FieldOf(_registers[register], field);
        return Value(_registers[register]).Get(found.High, found.Low);
    }

    internal bool IsSet(string register, string field) => Get(register, field) != 0;

    internal string Fill(string register, string template)
    {
        StringBuilder text = new();
        int at = 0;
        for (int open = template.IndexOf('{'); open >= 0; open = template.IndexOf('{', at))
        {
            int close = template.IndexOf('}', open);
            text.Append(template, at, open - at).Append(TextOf(register, template[(open + 1)..close]));
            at = close + 1;
        }

        return text.Append(template, at, template.Length - at).ToString();
    }

    /// <summary>A field's value as a table shows it: a sign for a bit, the format's words, or hex.</summary>
    internal static string TextOf(Field field, uint value) =>
        field.Format is { } format ? format(value)
        : field.High == field.Low ? $"{FieldText.Sign(value != 0)}"
        : $"0x{value:x}";

    private string TextOf(string register, string reference)
    {
        int colon = reference.IndexOf(':');
        Register from = _registers[colon < 0 ? register : reference[..colon]];
        string name = reference[(colon + 1)..];
        bool signOnly = name.EndsWith('!');
        Field field = FieldOf(from, signOnly ? name[..^1] : name);
        string words = TextOf(field, Value(from).Get(field.High, field.Low));
        bool isFlag = field.Format is null && field.High == field.Low;
        return isFlag && !signOnly ? field.Name + words : words;
    }

    private uint Value(Register register) => _space.Read(_start + register.Offset, register.Bytes);

    private Field FieldOf(Register register, string name)
    {
        Field found = register.Fields.FirstOrDefault(field => field.Name == name)
            ?? throw new ArgumentException($"{register.Name} has no field {name}");
        _notified.Add(found);
        return found;
    }
}
