using System.Buffers.Binary;

namespace Vfio.Net;

/// <summary>The checksum of IPv4, ICMP and UDP: the complement of the ones' complement sum of 16-bit words.</summary>
/// <remarks>RFC 1071. A range that carries its right checksum has the checksum 0.</remarks>
internal static class InternetChecksum
{
    /// <summary>The checksum of bytes; an odd last one counts as if a zero followed it.</summary>
    /// <param name="bytes">At most 4 GiB.</param>
    /// <param name="start">What else is summed, unfolded: <see cref="PseudoHeader"/>.</param>
    public static ushort Compute(ReadOnlySpan<byte> bytes, ulong start = 0)
    {
        // Words of 32 bits sum to the same once folded (RFC 1071, section 2), and 2^32 of them fit in 64 bits.
        ulong sum = start;
        while (bytes.Length >= sizeof(uint))
        {
            sum += BinaryPrimitives.ReadUInt32BigEndian(bytes);
            bytes = bytes[sizeof(uint)..];
        }

        if (bytes.Length >= sizeof(ushort))
        {
            sum += BinaryPrimitives.ReadUInt16BigEndian(bytes);
            bytes = bytes[sizeof(ushort)..];
        }

        if (bytes.Length > 0)
            sum += (uint)bytes[0] << 8;
        return (ushort)~Fold(sum);
    }

    /// <summary>The sum of UDP's pseudo header, to start from.</summary>
    /// <param name="source">Source address.</param>
    /// <param name="destination">Destination address.</param>
    /// <param name="protocol">Protocol of the payload.</param>
    /// <param name="length">Header and data of that protocol, in bytes.</param>
    /// <remarks>RFC 768.</remarks>
    public static ulong PseudoHeader(Ipv4Address source, Ipv4Address destination, IpProtocol protocol, int length) =>
        (ulong)source.Value + destination.Value + (uint)protocol + (uint)length;

    /// <summary>The checksum after one of the words it covers has changed.</summary>
    /// <remarks>RFC 1624, equation 3: a fault that the bytes had before is still seen after.</remarks>
    public static ushort Update(ushort checksum, ushort from, ushort to) =>
        (ushort)~Fold((ulong)(ushort)~checksum + (ushort)~from + to);

    private static ushort Fold(ulong sum)
    {
        while (sum >> 16 != 0)
            sum = (sum & 0xffff) + (sum >> 16);
        return (ushort)sum;
    }
}
