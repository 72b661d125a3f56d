using System.Buffers.Binary;
using System.Numerics;

namespace Vfio.Guard.Migration;

/// <summary>The checksum of a state: CRC-32C (Castagnoli), as in iSCSI (RFC 3720, section 12.1).</summary>
internal struct Crc32C
{
    private uint _inverted;

    internal readonly uint Value => _inverted;

    /// <summary>Adds bytes. The result does not depend on how they are divided.</summary>
    internal void Add(ReadOnlySpan<byte> bytes)
    {
        uint crc = ~_inverted;
        for (; bytes.Length >= 8; bytes = bytes[8..])
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        foreach (byte value in bytes)
            crc = BitOperations.Crc32C(crc, value);
        _inverted = ~crc;
    }
}
