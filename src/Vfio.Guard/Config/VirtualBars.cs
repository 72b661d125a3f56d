using Vfio.Guard.Function;
using Vfio.Guard.Shared;

namespace Vfio.Guard.Config;

/// <summary>The user's BARs and ROM BAR: they take any value and can be sized. The hardware's BARs do not change.</summary>
/// <remarks>PCI Local Bus 3.0, section 6.2.5. They start without an address, as after power-on.</remarks>
internal sealed class VirtualBars(FunctionLayout layout, ConfigShadow shadow) : ConfigRegisterHandler
{
    private const int FirstBar = 0x10, Rom = 0x30, Count = 6;

    internal override IEnumerable<int> Offsets => [.. Enumerable.Range(0, Count).Select(OffsetOf), Rom];

    internal override void Reset(bool byUser)
    {
        for (int i = 0; i < Count; i++)
        {
            shadow.Write(OffsetOf(i), 4, 0);
            Fix(i);
        }

        shadow.Write(Rom, 4, 0);
    }

    internal override void AfterWrite(int offset, int width)
    {
        if ((offset & ~3) == Rom)
            shadow.Write(Rom, 4, shadow.Read(Rom, 4) & RomMask());
        else
            Fix((offset - FirstBar) / 4);
    }

    private static int OffsetOf(int bar) => FirstBar + (4 * bar);

    /// <summary>Reduces what was written to what hardware would keep: the address bits above the size, and the type bits.</summary>
    private void Fix(int bar)
    {
        int offset = OffsetOf(bar);
        uint value = shadow.Read(offset, 4);
        if (IsUpperHalf(bar))
            shadow.Write(offset, 4, value & (uint)(SizeMask(bar - 1) >> 32));
        else
            shadow.Write(offset, 4, (value & (uint)SizeMask(bar) & ~TypeMask(bar)) | (HasSize(bar) ? TypeBits(bar) : 0));
    }

    private bool IsUpperHalf(int bar) => bar > 0 && layout.IsWide(bar - 1) && !IsUpperHalf(bar - 1);

    private bool HasSize(int bar) => layout.Function.GetLength(RegionIndex.Bar(bar)) != 0;

    private ulong SizeMask(int bar) => HasSize(bar) ? ~(layout.Function.GetLength(RegionIndex.Bar(bar)) - 1) : 0;

    private uint TypeMask(int bar) => layout.IsIo(RegionIndex.Bar(bar)) ? 3u : 0xfu;

    private uint TypeBits(int bar) => layout.Space.Read32(OffsetOf(bar)) & TypeMask(bar);

    private uint RomMask() =>
        layout.Function.GetLength(RegionIndex.Rom) is not 0 and ulong length ? ((uint)~(length - 1) & 0xffff_f800) | 1 : 0;
}
