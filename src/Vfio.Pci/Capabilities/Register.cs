using System.Collections;

namespace Vfio.Pci.Capabilities;

/// <summary>A register of config space: where it is in its structure, how wide, and its fields. Bits in no field are
/// <see cref="BitRule.Fixed"/>.</summary>
/// <remarks>Adding a field that overlaps another, or that leaves the register, is refused.</remarks>
internal sealed class Register : IEnumerable<Field>
{
    private readonly List<Field> _fields = [];

    /// <summary>Makes a register.</summary>
    /// <param name="offset">From the start of its capability, or of the header; a multiple of <paramref name="bytes"/>.</param>
    /// <param name="bytes">1, 2 or 4.</param>
    /// <param name="name">The specification's name.</param>
    public Register(int offset, int bytes, string name)
    {
        if (bytes is not (1 or 2 or 4) || offset < 0 || offset % bytes != 0)
            throw new ArgumentException($"{name}: {bytes} bytes at 0x{offset:x} is no register");
        Offset = offset;
        Bytes = bytes;
        Name = name;
    }

    /// <summary>Where it starts, in bytes.</summary>
    public int Offset { get; }

    /// <summary>Its width in bytes.</summary>
    public int Bytes { get; }

    /// <summary>Its name.</summary>
    public string Name { get; }

    /// <summary>Its fields, in the order in which they were added.</summary>
    public IReadOnlyList<Field> Fields => _fields;

    /// <summary>Adds a field of several bits.</summary>
    public void Add(string name, int high, int low, BitRule rule, Func<uint, string>? format = null) =>
        Add(new Field(name, high, low, rule) { Format = format });

    /// <summary>Adds a field of one bit.</summary>
    public void Add(string name, int bit, BitRule rule) => Add(new Field(name, bit, bit, rule));

    /// <summary>Adds fields that several registers share.</summary>
    public void Add(IEnumerable<Field> fields)
    {
        ArgumentNullException.ThrowIfNull(fields);
        foreach (Field field in fields)
            Add(field);
    }

    /// <summary>Adds a field.</summary>
    public void Add(Field field)
    {
        ArgumentNullException.ThrowIfNull(field);
        if (field.Low < 0 || field.High < field.Low || field.High >= 8 * Bytes)
            throw new ArgumentException($"{Name}: {field.Name} leaves the register");
        if (_fields.Find(other => (other.Mask & field.Mask) != 0) is { } other)
            throw new ArgumentException($"{Name}: {field.Name} overlaps {other.Name}");
        _fields.Add(field);
    }

    /// <summary>The bits that follow a rule.</summary>
    public uint MaskOf(BitRule rule) => _fields.Where(field => field.Rule == rule).Aggregate(0u, (mask, field) => mask | field.Mask);

    /// <inheritdoc/>
    public IEnumerator<Field> GetEnumerator() => _fields.GetEnumerator();

    /// <inheritdoc/>
    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
