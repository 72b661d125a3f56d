using Vfio.Pci;
using Vfio.Pci.Config;
using Vfio.Pci.Rules;

namespace Vfio.Web.Devices;

/// <summary>Two config spaces side by side, register by register.</summary>
/// <remarks>Registers are the same when structure, name and place in the structure are: a capability may be elsewhere.</remarks>
internal static class ConfigDifference
{
    /// <summary>All registers of both.</summary>
    internal static IEnumerable<ComparedRegister> Of(byte[] left, byte[] right)
    {
        List<(string Structure, int At, MappedRegister Register)> lefts = [.. Registers(left)], rights = [.. Registers(right)];
        ILookup<(string, int, string, int), MappedRegister> there = rights.ToLookup(KeyOf, one => one.Register);
        Dictionary<(string, int, string, int), int> seen = [];
        foreach ((string structure, int at, MappedRegister register) one in lefts)
        {
            (string, int, string, int) key = KeyOf(one);
            int number = seen.GetValueOrDefault(key);
            seen[key] = number + 1;
            MappedRegister? other = there[key].Skip(number).FirstOrDefault();
            yield return new ComparedRegister(one.structure, one.register.Name, one.register.Offset, one.register, other);
        }

        foreach ((string structure, int at, MappedRegister register) one in rights)
        {
            // Those that have none on the left any more: of two equal capabilities, the second.
            (string, int, string, int) key = KeyOf(one);
            int others = seen.GetValueOrDefault(key);
            seen[key] = others - 1;
            if (others <= 0)
                yield return new ComparedRegister(one.structure, one.register.Name, one.register.Offset, null, one.register);
        }
    }

    private static IEnumerable<(string Structure, int At, MappedRegister Register)> Registers(byte[] config) =>
        ConfigMap.Of(new ConfigSpace(config)).Structures.SelectMany(structure => structure.Registers.Select(register =>
            (NameOf(structure), register.Offset - structure.Offset, register)));

    // "[40] MSI" without where it is.
    private static string NameOf(MappedStructure structure) =>
        structure.Offset == 0 ? structure.Name : structure.Name[(structure.Name.IndexOf(']') + 2)..];

    private static (string Structure, int At, string Name, int Bytes) KeyOf((string Structure, int At, MappedRegister Register) one) =>
        (one.Structure, one.At, one.Register.Name, one.Register.Bytes);
}

/// <summary>A register of one config space, of the other, or of both.</summary>
/// <param name="Structure">The header, or the capability.</param>
/// <param name="Name">Its name; empty for bytes that are in no register.</param>
/// <param name="Offset">Its offset, in the left one where it is there.</param>
/// <param name="Left">What it is in the left one; null where it is not there.</param>
/// <param name="Right">What it is in the right one.</param>
internal sealed record ComparedRegister(string Structure, string Name, int Offset, MappedRegister? Left, MappedRegister? Right)
{
    /// <summary>Whether they differ.</summary>
    internal bool Differs => Left is null || Right is null || Left.Value != Right.Value;

    /// <summary>The fields that differ, each with both values.</summary>
    internal IEnumerable<(string Name, string Left, string Right)> Fields
    {
        get
        {
            if (Left is null || Right is null)
                yield break;
            foreach (MappedBits part in Left.Parts)
            {
                uint left = Left.Value.Get(part.High, part.Low), right = Right.Value.Get(part.High, part.Low);
                if (left == right)
                    continue;
                string name = part.Field?.Name ?? (part.High == part.Low ? $"bit {part.Low}" : $"bits {part.High}:{part.Low}");
                yield return (name, Words(Left, part, left), Words(Right, part, right));
            }
        }
    }

    private static string Words(MappedRegister register, MappedBits part, uint value) => register.Words(part) ?? $"0x{value:x}";
}
