using Vfio.Pci;
using Vfio.Pci.Capabilities;
using Vfio.Pci.Config;
using Vfio.Pci.Rules;

namespace Vfio.Guard.Shared;

/// <summary>The registers that tables describe, whatever a user may do to them: no permit changes it.</summary>
internal sealed class KnownRegisters
{
    private readonly uint[] _known;
    private readonly uint[] _status;
    private readonly uint[] _fields;

    internal KnownRegisters(ConfigSpace space, CapabilityList capabilities)
    {
        _known = new uint[(space.Length + 3) / 4];
        _status = new uint[_known.Length];
        _fields = new uint[_known.Length];
        bool[] taken = new bool[4 * _known.Length];
        Add(taken, 0, ConfigSpace.HeaderLength, HeaderTable.Of(space));
        foreach (Capability item in capabilities.Items)
        {
            int end = item.IsExtended ? ConfigSpace.ExtendedLength : ConfigSpace.ConventionalLength;
            Add(taken, item.Offset, Math.Min(item.Offset + item.LengthBytes, end), item.Registers);
        }
    }

    /// <summary>The bits of an access that belong to a register of a table.</summary>
    internal uint Known(int offset, int bytes) => Of(_known, offset, bytes);

    /// <summary>The bits of an access on which a written 1 has an effect (clears or starts): writes that do not mean it write 0.</summary>
    internal uint Status(int offset, int bytes) => Of(_status, offset, bytes);

    /// <summary>The bits of an access that belong to a field.</summary>
    internal uint Fields(int offset, int bytes) => Of(_fields, offset, bytes);

    /// <summary>Narrows an access to the narrowest one that has the given bits.</summary>
    /// <param name="offset">Where the access starts; becomes where the narrowest one does.</param>
    /// <param name="width">Its width in bytes: 1, 2 or 4; becomes that of the narrowest one.</param>
    /// <param name="bits">The bits, at least one.</param>
    internal static void Narrow(ref int offset, ref int width, uint bits)
    {
        for (int half = width / 2; half > 0; half /= 2)
        {
            uint low = bits & Bits.Mask((8 * half) - 1, 0);
            if (low != 0 && low != bits)
                return;
            if (low == 0)
            {
                offset += half;
                bits >>= 8 * half;
            }

            width = half;
        }
    }

    private static uint Of(uint[] masks, int offset, int bytes) => masks[offset >> 2] >> (8 * (offset & 3)) & Bits.Mask((8 * bytes) - 1, 0);

    /// <summary>Adds a structure, except for the bytes that an earlier one has; as <see cref="ConfigRules"/>.</summary>
    private void Add(bool[] taken, int start, int end, IReadOnlyList<Register> registers)
    {
        bool[] own = new bool[taken.Length];
        for (int at = start; at < Math.Min(end, taken.Length); at++)
            (own[at], taken[at]) = (!taken[at], true);
        foreach (Register register in registers)
        {
            int at = start + register.Offset;
            Set(own, _known, at, register.Bytes, uint.MaxValue);
            foreach (Field field in register)
            {
                Set(own, _fields, at, register.Bytes, field.Mask);
                if (field.Rule is BitRule.WriteOneToClear or BitRule.FixedStatus)
                    Set(own, _status, at, register.Bytes, field.Mask);
            }
        }
    }

    private static void Set(bool[] own, uint[] masks, int offset, int bytes, uint bits)
    {
        for (int i = 0; i < bytes && offset + i < own.Length; i++)
        {
            if (own[offset + i])
                masks[(offset + i) >> 2] |= (bits >> (8 * i) & 0xff) << (8 * ((offset + i) & 3));
        }
    }
}
