using System.Buffers.Binary;

namespace Vfio.Tests.Tracing;

/// <summary>Registers of 32 bits in BAR0.</summary>
internal static class Bar0
{
    internal static void Write(IVfioDevice device, ulong offset, uint value)
    {
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        device.WriteRegion(RegionIndex.Bar0, offset, bytes);
    }

    internal static uint Read(IVfioDevice device, ulong offset)
    {
        byte[] bytes = new byte[4];
        device.ReadRegion(RegionIndex.Bar0, offset, bytes);
        return BinaryPrimitives.ReadUInt32LittleEndian(bytes);
    }
}
