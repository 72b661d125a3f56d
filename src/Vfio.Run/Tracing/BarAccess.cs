using System.Buffers.Binary;
using Vfio.Run.Interface;

namespace Vfio.Run.Tracing;

/// <summary>A place in a mapped BAR.</summary>
/// <param name="Device">The device.</param>
/// <param name="Region">The BAR.</param>
/// <param name="Offset">Where in it, in bytes.</param>
internal readonly record struct BarAccess(IVfioDevice Device, RegionIndex Region, ulong Offset)
{
    private const int Widest = 8;

    /// <summary>Reads a register, in one access.</summary>
    /// <param name="bytes">1, 2, 4 or 8.</param>
    /// <exception cref="VfioException">The device refuses.</exception>
    internal ulong Read(int bytes)
    {
        Span<byte> value = stackalloc byte[Widest];
        value.Clear();
        Device.ReadRegion(Region, Offset, value[..bytes]);
        return BinaryPrimitives.ReadUInt64LittleEndian(value);
    }

    /// <summary>Writes a register, in one access.</summary>
    /// <param name="value">The value.</param>
    /// <param name="bytes">1, 2, 4 or 8.</param>
    /// <exception cref="VfioException">The device refuses.</exception>
    internal void Write(ulong value, int bytes)
    {
        Span<byte> source = stackalloc byte[Widest];
        BinaryPrimitives.WriteUInt64LittleEndian(source, value);
        Device.WriteRegion(Region, Offset, source[..bytes]);
    }

    /// <summary>Reads more than a register, in accesses of 8 bytes.</summary>
    internal void Read(Span<byte> destination)
    {
        for (int i = 0; i < destination.Length; i += Widest)
            Device.ReadRegion(Region, Offset + (ulong)i, destination.Slice(i, Math.Min(Widest, destination.Length - i)));
    }

    /// <summary>Writes more than a register, in accesses of 8 bytes.</summary>
    internal void Write(ReadOnlySpan<byte> source)
    {
        for (int i = 0; i < source.Length; i += Widest)
            Device.WriteRegion(Region, Offset + (ulong)i, source.Slice(i, Math.Min(Widest, source.Length - i)));
    }

    /// <summary>Another place in the same BAR.</summary>
    /// <param name="distance">How far, forwards or backwards.</param>
    internal BarAccess Move(long distance) => this with { Offset = Offset + (ulong)distance };
}
