using System.Numerics;
using Vfio.Guard.Function;
using Vfio.Guard.Shared;
using Vfio.Pci;
using Vfio.Pci.Config;
using Vfio.Pci.Rules;

namespace Vfio.Guard.Config;

/// <summary>Config space as the user sees it: the rule of each bit decides about every access.</summary>
/// <remarks>
/// <para>An access of 1, 2 or 4 bytes, naturally aligned, makes at most one access of that width to the hardware. A write reads first
/// when bits in it must stay as they are. Other accesses are split at natural boundaries. Bits that do not reach the hardware cause no
/// access, except one read to find out what a blocked write would have changed.</para>
/// <para>Bits that a write does not change are written back as they were read. Status bits are written 0, whether the user
/// sees them or not. Where no table describes the neighbouring bits, the write is as narrow as the bits that it may change allow; so a
/// permit is best for whole bytes. A register that the user may not read is not read for it.</para>
/// <para>Called under the function's lock.</para>
/// </remarks>
internal sealed class GuardedConfig
{
    private readonly IConfigAccess _below;
    private readonly ConfigRules _rules;
    private readonly KnownRegisters _known;
    private readonly RefusalCounter _refusals;
    private readonly int[] _virtual;
    private readonly ConfigRegisterHandler?[] _handlers;
    private readonly List<ConfigRegisterHandler> _all = [];

    internal GuardedConfig(FunctionLayout layout, RefusalCounter refusals)
        : this(new FunctionConfig(layout.Function), layout.Rules, layout.Known, layout.VirtualOffsets, refusals)
    {
    }

    /// <summary>Guards config space that is reached in another way than through a function.</summary>
    /// <param name="below">The accesses that are let through.</param>
    /// <param name="rules">The rule of each bit.</param>
    /// <param name="known">The registers of the tables.</param>
    /// <param name="shadowed">The dwords with bits of which a shadow is kept.</param>
    /// <param name="refusals">Counts blocked writes.</param>
    internal GuardedConfig(IConfigAccess below, ConfigRules rules, KnownRegisters known, int[] shadowed, RefusalCounter refusals)
    {
        _below = below;
        _rules = rules;
        _known = known;
        _refusals = refusals;
        _virtual = shadowed;
        _handlers = new ConfigRegisterHandler?[Length / 4];
        Shadow = new ConfigShadow(Length);
    }

    internal int Length => _rules.Length;

    internal ConfigShadow Shadow { get; }

    internal void Add(ConfigRegisterHandler handler)
    {
        _all.Add(handler);
        foreach (int offset in handler.Offsets)
            _handlers[offset / 4] = handler;
    }

    /// <summary>Gives all virtual bits their values after a reset.</summary>
    internal void Reset(bool byUser)
    {
        foreach (int offset in _virtual)
            Shadow.Write(offset, 4, _below.Read(offset, 4));
        foreach ((int offset, uint value) in _rules.Mended)
            Shadow.Write(offset, 4, value);
        foreach (ConfigRegisterHandler handler in _all)
            handler.Reset(byUser);
    }

    internal void Read(int offset, Span<byte> destination)
    {
        while (destination.Length > 0)
        {
            int width = AccessWidth.Natural((ulong)offset, destination.Length, 4);
            uint value = ReadOne(offset, width);
            for (int i = 0; i < width; i++)
                destination[i] = (byte)(value >> (8 * i));
            destination = destination[width..];
            offset += width;
        }
    }

    internal void Write(int offset, ReadOnlySpan<byte> source)
    {
        while (source.Length > 0)
        {
            int width = AccessWidth.Natural((ulong)offset, source.Length, 4);
            uint value = 0;
            for (int i = 0; i < width; i++)
                value |= (uint)source[i] << (8 * i);
            WriteOne(offset, width, value);
            source = source[width..];
            offset += width;
        }
    }

    /// <summary>Takes config space over as the user of another lease saw it. The effect is that of writes by the user, except for status
    /// bits, which a write would clear. Bits that are not the user's stay as they are.</summary>
    internal void Restore(ReadOnlySpan<byte> from)
    {
        for (int offset = 0; offset < Length; offset += 4)
        {
            uint free = _rules.Mask(BitRule.PassedThrough, offset, 4) | _rules.Mask(BitRule.Virtual, offset, 4);
            if (free == 0)
                continue;
            uint status = _rules.Mask(BitRule.WriteOneToClear, offset, 4) | _rules.Mask(BitRule.FixedStatus, offset, 4);
            uint saved = System.Buffers.Binary.BinaryPrimitives.ReadUInt32LittleEndian(from[offset..]);
            WriteOne(offset, 4, (ReadOne(offset, 4) & ~free & ~status) | (saved & free & ~_known.Status(offset, 4)));
        }
    }

    private uint VirtualMask(int offset, int width) =>
        _rules.Mask(BitRule.Virtual, offset, width) | _rules.Mask(BitRule.VirtualFixed, offset, width);

    private uint ReadOne(int offset, int width)
    {
        ConfigRegisterHandler? handler = _handlers[offset / 4];
        handler?.BeforeRead();
        uint all = Bits.Mask((8 * width) - 1, 0);
        uint shadowed = VirtualMask(offset, width);
        uint real = all & ~shadowed & ~_rules.Mask(BitRule.Hidden, offset, width);
        uint hardware = ReadHardware(offset, width, real);
        handler?.AfterRead(offset, width, hardware);
        return (hardware & real) | (Shadow.Read(offset, width) & shadowed);
    }

    private void WriteOne(int offset, int width, uint value)
    {
        ConfigRegisterHandler? handler = _handlers[offset / 4];
        handler?.BeforeRead();
        uint all = Bits.Mask((8 * width) - 1, 0);
        uint passed = _rules.Mask(BitRule.PassedThrough, offset, width);
        uint clearable = _rules.Mask(BitRule.WriteOneToClear, offset, width);
        uint clearing = clearable & value;
        uint status = _rules.Mask(BitRule.FixedStatus, offset, width);
        uint writable = _rules.Mask(BitRule.Virtual, offset, width);

        // A status bit is not kept, whatever its rule is now: written back as it was read, it would be cleared.
        uint kept = all & ~passed & ~status & ~clearable & ~_known.Status(offset, width);
        bool reaches = (passed | clearing) != 0;
        int at = offset;
        int bytes = width;
        bool isMerged = _below.MergesWrites && (all & ~passed & ~clearing) != 0;
        if (reaches && (isMerged || (kept & ~_known.Known(offset, width)) != 0))
            KnownRegisters.Narrow(ref at, ref bytes, passed | clearing);
        int shift = 8 * (at - offset);
        kept &= Bits.Mask((8 * bytes) - 1, 0) << shift;
        uint refusable = all & ~passed & ~writable & ~clearable;
        uint asked = refusable & ~_rules.Mask(BitRule.Hidden, offset, width) & ~_rules.Mask(BitRule.VirtualFixed, offset, width);
        uint hardware = ReadHardware(offset, width, asked | (reaches ? kept : 0));
        CountRefused(offset, width, value, hardware, refusable, status);
        if (reaches)
            _below.Write(at, bytes, ((hardware & kept) | (value & passed) | clearing) >> shift & Bits.Mask((8 * bytes) - 1, 0));
        if (writable != 0)
            Shadow.Write(offset, width, (Shadow.Read(offset, width) & ~writable) | (value & writable));
        handler?.AfterWrite(offset, width);
    }

    /// <summary>Reads bits of the hardware by one access of the width, or by a narrower one where the access has bits that the user may
    /// not read: such a read may have effects.</summary>
    private uint ReadHardware(int offset, int width, uint wanted)
    {
        if (wanted == 0)
            return 0;
        if (_rules.Mask(BitRule.Hidden, offset, width) == 0)
            return _below.Read(offset, width);
        int at = offset;
        KnownRegisters.Narrow(ref at, ref width, wanted);
        return _below.Read(at, width) << (8 * (at - offset));
    }

    /// <summary>Counts the bits that the write tried to change and may not. A 0 written to a status bit changes nothing.</summary>
    private void CountRefused(int offset, int width, uint value, uint hardware, uint refusable, uint status)
    {
        if (refusable == 0)
            return;
        uint shadowed = _rules.Mask(BitRule.VirtualFixed, offset, width);
        uint hidden = _rules.Mask(BitRule.Hidden, offset, width);
        uint seen = ((hardware & ~shadowed) | (Shadow.Read(offset, width) & shadowed)) & ~hidden;
        uint refused = ((value ^ seen) & refusable & ~status) | (value & hardware & status);
        if (refused != 0)
            _refusals.AddConfigBits(BitOperations.PopCount(refused));
    }
}
