using System.Buffers.Binary;
using Vfio.Drivers.Ethernet;

namespace Vfio.Net;

/// <summary>A packet of the address resolution protocol, for IPv4 on Ethernet.</summary>
/// <remarks>RFC 826. Reads the bytes in place, without a copy.</remarks>
internal readonly ref struct ArpPacket
{
    /// <summary>Length, in bytes.</summary>
    public const int Bytes = 28;

    // Hardware type 1 is Ethernet; a hardware address has six bytes, a protocol address four.
    private const ulong EthernetAndIpv4 = 0x0001_0800_06_04;
    private const int OperationOffset = 6, SenderMac = 8, SenderAddress = 14, TargetMacOffset = 18, TargetAddress = 24;
    private readonly ReadOnlySpan<byte> _bytes;

    private ArpPacket(ReadOnlySpan<byte> bytes) => _bytes = bytes;

    /// <summary>Request or reply.</summary>
    public ArpOperation Operation => (ArpOperation)BinaryPrimitives.ReadUInt16BigEndian(_bytes[OperationOffset..]);

    /// <summary>The sender's address on Ethernet.</summary>
    public MacAddress SenderHardware => MacAddress.Read(_bytes[SenderMac..]);

    /// <summary>The sender's address of IPv4; <c>0.0.0.0</c> of one that tries whether an address is free (RFC 5227).</summary>
    public Ipv4Address SenderProtocol => new(BinaryPrimitives.ReadUInt32BigEndian(_bytes[SenderAddress..]));

    /// <summary>The target's address on Ethernet; of no meaning in a request.</summary>
    public MacAddress TargetHardware => MacAddress.Read(_bytes[TargetMacOffset..]);

    /// <summary>The target's address of IPv4: the one that a request asks about.</summary>
    public Ipv4Address TargetProtocol => new(BinaryPrimitives.ReadUInt32BigEndian(_bytes[TargetAddress..]));

    /// <summary>Reads a packet.</summary>
    /// <param name="payload">Payload of a frame; what follows the packet is ignored.</param>
    /// <param name="packet">The packet.</param>
    /// <returns>False when it is cut short, or of another network or protocol.</returns>
    public static bool TryRead(ReadOnlySpan<byte> payload, out ArpPacket packet)
    {
        packet = default;
        if (payload.Length < Bytes || BinaryPrimitives.ReadUInt64BigEndian(payload) >> 16 != EthernetAndIpv4)
            return false;
        packet = new ArpPacket(payload[..Bytes]);
        return true;
    }

    /// <summary>Writes a packet to the start of <paramref name="destination"/>, which has at least 28 bytes.</summary>
    /// <param name="destination">Where.</param>
    /// <param name="operation">Request or reply.</param>
    /// <param name="senderHardware">The sender's address on Ethernet.</param>
    /// <param name="senderProtocol">The sender's address of IPv4.</param>
    /// <param name="targetHardware">The target's address on Ethernet; zero in a request.</param>
    /// <param name="targetProtocol">The target's address of IPv4.</param>
    public static void Write(
        Span<byte> destination, ArpOperation operation,
        MacAddress senderHardware, Ipv4Address senderProtocol, MacAddress targetHardware, Ipv4Address targetProtocol)
    {
        BinaryPrimitives.WriteUInt64BigEndian(destination, (EthernetAndIpv4 << 16) | (ushort)operation);
        senderHardware.Write(destination[SenderMac..]);
        BinaryPrimitives.WriteUInt32BigEndian(destination[SenderAddress..], senderProtocol.Value);
        targetHardware.Write(destination[TargetMacOffset..]);
        BinaryPrimitives.WriteUInt32BigEndian(destination[TargetAddress..], targetProtocol.Value);
    }
}

/// <summary>The operation of an ARP packet; any other value may come.</summary>
internal enum ArpOperation : ushort
{
    /// <summary>Request: asks for the station that has the target's address.</summary>
    Request = 1,

    /// <summary>Reply: the sender has the address.</summary>
    Reply = 2,
}
