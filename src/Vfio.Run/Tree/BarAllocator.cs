using System.Buffers.Binary;

namespace Vfio.Run.Tree;

/// <summary>The bus addresses of a region, as a line of sysfs' <c>resource</c>.</summary>
/// <param name="Start">First address.</param>
/// <param name="Length">Size in bytes; 0 for none.</param>
/// <param name="Flags">The kernel's IORESOURCE_* bits.</param>
internal readonly record struct BarAddress(ulong Start, ulong Length, uint Flags)
{
    /// <summary>Last address.</summary>
    internal ulong Last => Length == 0 ? 0 : Start + Length - 1;
}

/// <summary>Gives BARs bus addresses, as firmware does. Nothing is at them: they are what programs print.</summary>
/// <remarks>PCI Local Bus 3.0, 6.2.5.1: the low bits of a BAR say what it is.</remarks>
internal sealed class BarAllocator
{
    private const uint IoBar = 1, TypeMask = 6, Wide = 4, PrefetchBar = 8;
    private const uint IoPorts = 0x100, Memory = 0x200, Prefetch = 0x2000, ReadOnly = 0x4000, SizeAligned = 0x4_0000, Wide64 = 0x10_0000;
    private const ulong PageBytes = 4096;
    private ulong _ports = 0x1000, _low = 0xe000_0000, _high = 0x38_0000_0000;

    /// <summary>Gives a BAR an address, and writes it to its register.</summary>
    /// <param name="register">Config space from the BAR's register on.</param>
    /// <param name="length">The BAR's size in bytes; 0 for none.</param>
    internal BarAddress PlaceBar(Span<byte> register, ulong length)
    {
        if (length == 0)
            return default;
        uint kind = BinaryPrimitives.ReadUInt32LittleEndian(register);
        if ((kind & IoBar) != 0)
        {
            ulong port = Take(ref _ports, length);
            BinaryPrimitives.WriteUInt32LittleEndian(register, (uint)port | IoBar);
            return new BarAddress(port, length, IoPorts | SizeAligned | IoBar);
        }

        uint bits = kind & 0xf;
        uint flags = Memory | SizeAligned | bits | ((bits & PrefetchBar) != 0 ? Prefetch : 0);
        if ((bits & TypeMask) != Wide)
        {
            ulong low = Take(ref _low, Math.Max(length, PageBytes));
            BinaryPrimitives.WriteUInt32LittleEndian(register, (uint)low | bits);
            return new BarAddress(low, length, flags);
        }

        ulong high = Take(ref _high, Math.Max(length, PageBytes));
        BinaryPrimitives.WriteUInt64LittleEndian(register, high | bits);
        return new BarAddress(high, length, flags | Wide64);
    }

    /// <summary>Gives a ROM an address.</summary>
    internal BarAddress PlaceRom(ulong length) =>
        length == 0 ? default : new BarAddress(Take(ref _low, length), length, Memory | SizeAligned | Prefetch | ReadOnly);

    // Naturally aligned: lengths are powers of two.
    private static ulong Take(ref ulong next, ulong length)
    {
        ulong start = (next + length - 1) & ~(length - 1);
        next = start + length;
        return start;
    }
}
