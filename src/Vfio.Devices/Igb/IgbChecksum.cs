using System.Buffers.Binary;
using System.Numerics;

namespace Vfio.Devices.Igb;

/// <summary>The checksums that the device computes: of the Internet protocols (RFC 1071), of SCTP (RFC 9260) and of frames.</summary>
internal static class IgbChecksum
{
    private static readonly uint[] FrameTable = MakeTable(0xedb8_8320);

    /// <summary>The sum of 16-bit words in network order, folded; not complemented.</summary>
    internal static uint Sum(ReadOnlySpan<byte> bytes, uint sum = 0)
    {
        ulong wide = sum;
        while (bytes.Length >= sizeof(uint))
        {
            wide += BinaryPrimitives.ReadUInt32BigEndian(bytes);
            bytes = bytes[sizeof(uint)..];
        }

        if (bytes.Length >= 2)
        {
            wide += BinaryPrimitives.ReadUInt16BigEndian(bytes);
            bytes = bytes[2..];
        }

        if (bytes.Length == 1)
            wide += (uint)bytes[0] << 8;
        while (wide >> 16 != 0)
            wide = (wide & 0xffff) + (wide >> 16);
        return (uint)wide;
    }

    /// <summary>What a checksum field holds for a sum.</summary>
    internal static ushort Field(uint sum) => (ushort)~sum;

    /// <summary>The sum of the pseudo header of TCP and UDP.</summary>
    /// <param name="frame">The frame.</param>
    /// <param name="packet">Its headers; it has an IP header.</param>
    /// <param name="length">Length of header and data of the transport.</param>
    internal static uint PseudoHeader(ReadOnlySpan<byte> frame, IgbPacket packet, int length)
    {
        ReadOnlySpan<byte> addresses = packet.IsIpv4 ? frame.Slice(packet.Network + 12, 8) : frame.Slice(packet.Network + 8, 32);
        return Sum(addresses, (uint)length + (uint)packet.Protocol);
    }

    /// <summary>CRC32c, of SCTP.</summary>
    internal static uint Crc32C(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte value in bytes)
            crc = BitOperations.Crc32C(crc, value);
        return ~crc;
    }

    /// <summary>The frame check sequence, as the wire has it when it is stored in little-endian order.</summary>
    internal static uint FrameCheck(ReadOnlySpan<byte> frame)
    {
        uint crc = uint.MaxValue;
        foreach (byte value in frame)
            crc = FrameTable[(byte)(crc ^ value)] ^ crc >> 8;
        return ~crc;
    }

    private static uint[] MakeTable(uint polynomial)
    {
        uint[] table = new uint[256];
        for (uint i = 0; i < table.Length; i++)
        {
            uint value = i;
            for (int bit = 0; bit < 8; bit++)
                value = (value & 1) != 0 ? polynomial ^ value >> 1 : value >> 1;
            table[i] = value;
        }

        return table;
    }
}
