using System.Buffers.Binary;

namespace Vfio.Tests.Guard;

/// <summary>One capability in a config space, for the facts to look at; what is beyond the end reads as ones.</summary>
internal readonly record struct FactView(byte[] Config, int Start, bool IsExtended, int ExpressStart)
{
    public int Id => IsExtended ? Read16(0) : Config[Start];

    /// <summary>Device/Port Type; -1 without a PCI Express capability.</summary>
    public int PortType => ExpressStart < 0 ? -1 : Config[ExpressStart + 2] >> 4;

    public byte Read8(int offset) => Start + offset < Config.Length ? Config[Start + offset] : (byte)0xff;

    public ushort Read16(int offset) => (ushort)(Read8(offset) | Read8(offset + 1) << 8);

    public uint Read32(int offset) => Read16(offset) | (uint)Read16(offset + 2) << 16;

    /// <summary>A dword of the PCI Express capability; 0 without one.</summary>
    public uint Express32(int offset) => ExpressStart < 0 || ExpressStart + offset + 4 > Config.Length
        ? 0
        : BinaryPrimitives.ReadUInt32LittleEndian(Config.AsSpan(ExpressStart + offset));
}
