using Vfio.Pci.Config;

namespace Vfio.Pci.Rules;

/// <summary>What every bit of a function's config space is to its user: the tables of its header and its capabilities, laid out
/// flat.</summary>
/// <remarks>
/// <para>Bits that no table lists are <see cref="BitRule.Fixed"/>. Where structures overlap, the one that comes first in the
/// function's lists has the bytes.</para>
/// <para>Reading is safe from any thread; <see cref="Permit"/> and <see cref="Set"/> are not, while others read.</para>
/// </remarks>
internal sealed class ConfigRules
{
    private static readonly BitRule[] AllRules = Enum.GetValues<BitRule>();

    // A dword for each rule, side by side: the masks of one access are one cache line.
    private readonly uint[] _masks;
    private readonly RuledStructure?[] _owners;
    private readonly List<string> _conflicts = [];
    private readonly Dictionary<int, uint> _mended = [];

    /// <summary>Lays out the rules.</summary>
    /// <param name="space">What the function shows; its capabilities decide which tables apply.</param>
    public ConfigRules(ConfigSpace space)
        : this(space, CapabilityList.Read(space))
    {
    }

    /// <summary>Lays out the rules.</summary>
    /// <param name="space">What the function shows.</param>
    /// <param name="capabilities">Its capabilities.</param>
    public ConfigRules(ConfigSpace space, CapabilityList capabilities)
    {
        ArgumentNullException.ThrowIfNull(space);
        ArgumentNullException.ThrowIfNull(capabilities);
        Length = space.Length <= ConfigSpace.ConventionalLength ? ConfigSpace.ConventionalLength : ConfigSpace.ExtendedLength;
        _masks = new uint[Length / 4 * AllRules.Length];
        _owners = new RuledStructure?[Length];
        for (int offset = 0; offset < Length; offset += 4)
            Word(offset, BitRule.Fixed) = uint.MaxValue;
        foreach (RuledStructure structure in RuledStructure.Of(space, capabilities))
            Lay(structure);
        Hide(space, capabilities);
    }

    /// <summary>Dwords of which the user's copy differs from the hardware's from the start, in the bits of <see cref="BitRule.VirtualFixed"/>: the
    /// heads of capabilities, with hidden ones left out of the list.</summary>
    public IReadOnlyDictionary<int, uint> Mended => _mended;

    /// <summary>Size of config space in bytes: 256 or 4096.</summary>
    public int Length { get; }

    /// <summary>Structures that overlap, one line each; empty for a sound function.</summary>
    public IReadOnlyList<string> Conflicts => _conflicts;

    /// <summary>The bits of an access that follow a rule.</summary>
    /// <param name="rule">The rule.</param>
    /// <param name="offset">A multiple of <paramref name="bytes"/>, inside <see cref="Length"/>.</param>
    /// <param name="bytes">1, 2 or 4.</param>
    public uint Mask(BitRule rule, int offset, int bytes) => Word(offset, rule) >> (8 * (offset & 3)) & Bits.Mask((8 * bytes) - 1, 0);

    /// <summary>Whether a capability has all its bytes: it does not run over the end of its part of config space, and no other structure
    /// came first in any of them.</summary>
    public bool IsWhole(Capability capability)
    {
        ArgumentNullException.ThrowIfNull(capability);
        return capability.LengthBytes <= Math.Min(RuledStructure.Room(capability), Length - capability.Offset)
            && Array.TrueForAll(
                _owners[capability.Offset..(capability.Offset + capability.LengthBytes)],
                owner => owner is not null && owner.Offset == capability.Offset);
    }

    /// <summary>One bit, with its names.</summary>
    /// <param name="offset">The byte.</param>
    /// <param name="bit">0 to 7, in that byte.</param>
    public RuledBit At(int offset, int bit)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)offset, (uint)Length, nameof(offset));
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)bit, 7u, nameof(bit));
        RuledStructure? owner = _owners[offset];
        Register? register = owner?.Find(offset);
        int registerBit = register is null ? 0 : (8 * (offset - owner!.Offset - register.Offset)) + bit;
        Field? field = register?.Fields.FirstOrDefault(field => registerBit >= field.Low && registerBit <= field.High);
        return new RuledBit(RuleOf(offset, bit), owner?.Name, register, field);
    }

    /// <summary>Extends the tables for a function that has registers where no table has them; who may do that is the caller's
    /// matter.</summary>
    /// <param name="offset">A multiple of 4.</param>
    /// <param name="readBits">Bits that may be read: cleared ones become <see cref="BitRule.Hidden"/>.</param>
    /// <param name="writeBits">Bits that may be written: set ones become <see cref="BitRule.PassedThrough"/>. The others stay as they
    /// are; hidden ones that may be read again become <see cref="BitRule.Fixed"/>.</param>
    /// <exception cref="ArgumentException">No such dword; a bit may be written but not read; or it is one that the guard itself
    /// keeps.</exception>
    public void Permit(int offset, uint readBits, uint writeBits)
    {
        if (offset < 0 || offset > Length - 4 || (offset & 3) != 0)
            throw new ArgumentException($"0x{offset:x} is not a multiple of 4 below 0x{Length:x}", nameof(offset));
        if ((writeBits & ~readBits) != 0)
            throw new ArgumentException($"bits 0x{writeBits & ~readBits:x8} at 0x{offset:x} may be written but not read",
                nameof(writeBits));
        uint kept = Word(offset, BitRule.Virtual) | Word(offset, BitRule.VirtualFixed);
        if ((kept & (writeBits | ~readBits)) is not 0 and uint refused)
            throw new ArgumentException($"bits 0x{refused:x8} at 0x{offset:x} are the guard's own ({_owners[offset]?.Name})",
                nameof(writeBits));
        Set(BitRule.Fixed, offset, Word(offset, BitRule.Hidden) & readBits);
        Set(BitRule.Hidden, offset, ~readBits);
        Set(BitRule.PassedThrough, offset, writeBits);
    }

    /// <summary>Gives bits another rule.</summary>
    /// <param name="rule">The new rule.</param>
    /// <param name="offset">A multiple of 4.</param>
    /// <param name="bits">The bits of the dword there.</param>
    public void Set(BitRule rule, int offset, uint bits)
    {
        foreach (BitRule other in AllRules)
            Word(offset, other) &= ~bits;
        Word(offset, rule) |= bits;
    }

    /// <summary>Leaves capabilities that cannot work for a user out of its list, and says that the function makes no wake-up.</summary>
    private void Hide(ConfigSpace space, CapabilityList capabilities)
    {
        const int PowerManagement = 0x01;
        const uint WakeUpStates = 0xf800_0000;
        if (capabilities.Find(PowerManagement, isExtended: false) is { } power && HasHead(power))
            _mended[power.Offset] = space.Read32(power.Offset) & ~WakeUpStates;

        // From the end: what follows a hidden one is known by then. The first one stays as an anchor without an id.
        uint next = 0;
        bool isNextHidden = false;
        foreach (Capability item in capabilities.Items.Where(item => item.IsExtended).Reverse())
        {
            bool isHidden = item.Table is { IsHidden: true };
            bool isFirst = item.Offset == ConfigSpace.ConventionalLength;
            if (isHidden)
                HideBytes(item, isFirst);
            if (isHidden && !isFirst)
            {
                isNextHidden = true;
                continue;
            }

            uint head = space.Read32(item.Offset);
            if ((isNextHidden || isHidden) && HasHead(item))
                _mended[item.Offset] = (isHidden ? 0 : head.Get(19, 0)) | (isNextHidden ? next : head.Get(31, 20)) << 20;
            next = (uint)item.Offset;
            isNextHidden = false;
        }
    }

    private void HideBytes(Capability item, bool isFirst)
    {
        int end = Math.Min(item.Offset + item.LengthBytes, Length);
        for (int offset = item.Offset + (isFirst ? 4 : 0); offset < end; offset++)
        {
            if (_owners[offset]?.Offset == item.Offset)
                Set(BitRule.Hidden, offset & ~3, 0xffu << (8 * (offset & 3)));
        }
    }

    /// <summary>Whether the first dword of a capability is its own.</summary>
    private bool HasHead(Capability item) =>
        item.Offset + 4 <= Length && Array.TrueForAll(_owners[item.Offset..(item.Offset + 4)], owner => owner?.Offset == item.Offset);

    private ref uint Word(int offset, BitRule rule) => ref _masks[((offset >> 2) * AllRules.Length) + (int)rule];

    private BitRule RuleOf(int offset, int bit) =>
        Array.Find(AllRules, rule => (Mask(rule, offset, 1) >> bit & 1) != 0);

    private void Lay(RuledStructure structure)
    {
        int end = Math.Min(structure.Offset + structure.Length, Length);
        HashSet<string> before = [];
        for (int offset = structure.Offset; offset < end; offset++)
        {
            if (_owners[offset] is { } owner)
                before.Add(owner.Name);
            else
                _owners[offset] = structure;
        }

        _conflicts.AddRange(before.Select(owner => $"{structure.Name} overlaps {owner}, which comes first and has the bytes"));
        foreach (Register register in structure.Registers)
        {
            foreach (Field field in register)
                Lay(structure, register, field);
        }
    }

    private void Lay(RuledStructure structure, Register register, Field field)
    {
        for (int i = 0; i < register.Bytes; i++)
        {
            int offset = structure.Offset + register.Offset + i;
            uint bits = field.Mask >> (8 * i) & 0xff;
            if (offset < Length && _owners[offset] == structure)
                Set(field.Rule, offset & ~3, bits << (8 * (offset & 3)));
        }
    }
}
