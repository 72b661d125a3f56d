using Vfio.Pci.Capabilities;
using Vfio.Pci.Config;

namespace Vfio.Pci.Rules;

/// <summary>Config space bit by bit, to be drawn: what every bit is to the user of the function, in the order of the structures.</summary>
/// <remarks>Bytes that no register has are there as bytes or dwords of their own: all of a capability's, and those elsewhere that are not
/// zero.</remarks>
internal sealed class ConfigMap
{
    private readonly ConfigSpace _space;
    private readonly ConfigRules _rules;
    private readonly bool[] _isTaken;

    private ConfigMap(ConfigSpace space)
    {
        _space = space;
        CapabilityList list = CapabilityList.Read(space);
        _rules = new ConfigRules(space, list);
        Problems = [.. list.Problems, .. _rules.Conflicts];
        _isTaken = new bool[space.Length];
        Structures = [.. RuledStructure.Of(space, list).Select(Map)];
        if (Gaps(0, space.Length, withZeros: false) is { Count: > 0 } others)
            Structures = [.. Structures, new MappedStructure("Outside of all structures", 0, space.Length, null, others)];
    }

    /// <summary>The header, and the capabilities in the order of their lists.</summary>
    internal IReadOnlyList<MappedStructure> Structures { get; }

    /// <summary>What is wrong with the capabilities; one line each.</summary>
    internal IReadOnlyList<string> Problems { get; }

    /// <summary>Lays a config space out. No content makes it fail.</summary>
    internal static ConfigMap Of(ConfigSpace space) => new(space);

    private MappedStructure Map(RuledStructure structure)
    {
        List<MappedRegister> registers = [];
        foreach (Register register in structure.Registers)
        {
            int offset = structure.Offset + register.Offset;
            if (!_space.Knows(offset, register.Bytes) || IsTaken(offset, register.Bytes))
                continue;
            registers.Add(Map(offset, register.Bytes, register.Name));
        }

        registers.AddRange(Gaps(structure.Offset, Math.Min(structure.Offset + structure.Length, _space.Length), withZeros: true));
        registers.Sort((one, other) => one.Offset.CompareTo(other.Offset));
        return new MappedStructure(structure.Name, structure.Offset, structure.Length, structure.Specification, registers);
    }

    private MappedRegister Map(int offset, int bytes, string name)
    {
        Array.Fill(_isTaken, true, offset, bytes);
        List<MappedBits> parts = [];
        RuledBit? last = null;
        for (int bit = (8 * bytes) - 1; bit >= 0; bit--)
        {
            RuledBit one = _rules.At(offset + (bit / 8), bit % 8);
            if (last is { } before && before.Rule == one.Rule && before.Field == one.Field)
                parts[^1] = parts[^1] with { Low = bit };
            else
                parts.Add(new MappedBits(bit, bit, one.Rule, one.Field));
            last = one;
        }

        return new MappedRegister(offset, bytes, name, _space.Read(offset, bytes), parts);
    }

    /// <summary>What is not taken yet, in dwords where a whole one is free, else in bytes.</summary>
    private List<MappedRegister> Gaps(int start, int end, bool withZeros)
    {
        List<MappedRegister> gaps = [];
        for (int offset = start; offset < end;)
        {
            int bytes = offset % 4 == 0 && offset + 4 <= end && !IsTaken(offset, 4) ? 4 : 1;
            if (!IsTaken(offset, bytes) && (withZeros || _space.Read(offset, bytes) != 0))
                gaps.Add(Map(offset, bytes, ""));
            offset += bytes;
        }

        return gaps;
    }

    private bool IsTaken(int offset, int bytes) => _isTaken.AsSpan(offset, bytes).Contains(true);
}

/// <summary>The header or a capability.</summary>
/// <param name="Name">Its name, with its offset for a capability.</param>
/// <param name="Offset">Where it starts, in bytes.</param>
/// <param name="Length">Its size in bytes.</param>
/// <param name="Specification">Where it is specified; null where that is not known.</param>
/// <param name="Registers">By offset.</param>
internal sealed record MappedStructure(string Name, int Offset, int Length, string? Specification, IReadOnlyList<MappedRegister> Registers);

/// <summary>A register, or bytes that are in none.</summary>
/// <param name="Offset">In config space, in bytes.</param>
/// <param name="Bytes">1, 2 or 4.</param>
/// <param name="Name">Its name; empty for bytes that are in no register.</param>
/// <param name="Value">What it held.</param>
/// <param name="Parts">Its bits from the highest on, together where they are of one field with one rule.</param>
internal sealed record MappedRegister(int Offset, int Bytes, string Name, uint Value, IReadOnlyList<MappedBits> Parts)
{
    /// <summary>What a part of it held, in words; null for a number without words.</summary>
    internal string? Words(MappedBits part) =>
        part.Field is { Format: { } format } field && field.High == part.High && field.Low == part.Low ? format(ValueOf(part)) : null;

    /// <summary>What a part of it held.</summary>
    internal uint ValueOf(MappedBits part) => Value.Get(part.High, part.Low);
}

/// <summary>Bits of a register that follow one rule.</summary>
/// <param name="High">Highest bit.</param>
/// <param name="Low">Lowest bit.</param>
/// <param name="Rule">What they are to the user.</param>
/// <param name="Field">Their field; null for bits that no field has.</param>
internal readonly record struct MappedBits(int High, int Low, BitRule Rule, Field? Field);
