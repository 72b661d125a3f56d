using System.Buffers.Binary;
using Vfio.Guard;

namespace Vfio.Devices.Igb;

/// <summary>Finds what there is to say of a received frame: checksums, types, hash, and so its queue.</summary>
/// <remarks>82576 Datasheet, sections 7.1.5, 7.1.10 and 7.1.1.7. By the thread of the receive work.</remarks>
internal sealed class IgbClassifier(RegisterFile<IgbRegister> registers)
{
    /// <summary>Modes of MRQC: a hash chooses among all queues, or among the two of the pool that the switch chose.</summary>
    internal const uint HashesForQueues = 2, HashesForPools = 5;

    private const uint InexactGroup = 0x80, IpChecked = 0x40, TransportChecked = 0x20, UdpChecked = 0x10;
    private const uint IpWrong = 1u << 30, TransportWrong = 1u << 29;
    private const uint ChecksIp = 1u << 8, ChecksTransport = 1u << 9, HashInsteadOfSum = 1u << 13;
    private const int LongestInput = 36;

    /// <summary>Looks at a frame.</summary>
    /// <param name="frame">Without the frame check sequence, at least 60 bytes.</param>
    /// <param name="packet">Where its headers are.</param>
    /// <param name="hashMode">The mode of MRQC in which it has a hash.</param>
    internal IgbReceived Classify(ReadOnlySpan<byte> frame, IgbPacket packet, uint hashMode = HashesForQueues)
    {
        uint control = (uint)registers[IgbRegister.ReceiveChecksum];
        IgbReceived received = new() { Types = TypeOf(packet) << 4 };
        if ((control & HashInsteadOfSum) == 0)
            received.PacketChecksum = (ushort)IgbChecksum.Sum(frame[Math.Min((int)(control & 0xff), frame.Length)..]);
        CheckSums(frame, packet, control, ref received);
        if (IgbFilter.IsMulticast(frame) && !IgbFilter.IsBroadcast(frame))
            received.Status |= InexactGroup;
        bool hashes = (registers[IgbRegister.MultipleQueues] & 7) == hashMode;
        if (hashes && TryHash(frame, packet, out uint hash, out uint type))
        {
            received.Queue = QueueOf(hash);
            received.Hash = hash;
            received.Types |= type;
        }

        if ((control & HashInsteadOfSum) == 0)
            received.Hash = (uint)received.PacketChecksum << 16 | IdentificationOf(frame, packet);
        return received;
    }

    /// <summary>Length of the headers that PSRTYPE lets be split off; 0 when these are not.</summary>
    internal int HeadersOf(ReadOnlySpan<byte> frame, IgbPacket packet, int queue)
    {
        // PSR_type bits: 1 IPv4, 2 IPv4 and TCP, 3 IPv4 and UDP, 4 IPv6, 5 IPv6 and TCP, 6 IPv6 and UDP; section 8.10.
        uint types = (uint)registers[IgbRegister.SplitType, queue];
        if (packet.Transport == 0)
            return 0;
        int first = packet.IsIpv4 ? 1 : 4;
        if (packet.HasPorts && packet.Protocol == IgbPacket.Tcp && (types >> (first + 1) & 1) != 0)
        {
            int header = 4 * (frame[packet.Transport + 12] >> 4);
            return header >= 20 && header <= packet.End - packet.Transport ? packet.Transport + header : 0;
        }

        if (packet.HasPorts && packet.Protocol == IgbPacket.Udp && (types >> (first + 2) & 1) != 0)
            return packet.Transport + 8;
        return (types >> first & 1) != 0 ? packet.Transport : 0;
    }

    private static uint TypeOf(IgbPacket packet)
    {
        if (packet.Network == 0)
            return 0;
        uint type = packet.IsIpv4 ? 0x1u : 0x4u;
        if (packet.HasTransport)
            type |= packet.Protocol switch { IgbPacket.Tcp => 0x10u, IgbPacket.Udp => 0x20u, IgbPacket.Sctp => 0x40u, _ => 0 };
        return type;
    }

    private static void CheckSums(ReadOnlySpan<byte> frame, IgbPacket packet, uint control, ref IgbReceived received)
    {
        if (packet.IsIpv4 && (control & ChecksIp) != 0)
        {
            received.Status |= IpChecked;
            if (IgbChecksum.Sum(frame[packet.Network..packet.Transport]) != 0xffff)
                received.Errors |= IpWrong;
        }

        if ((control & ChecksTransport) == 0 || !packet.HasPorts)
            return;
        int length = packet.End - packet.Transport;
        bool isUdp = packet.Protocol == IgbPacket.Udp;
        if (isUdp)
        {
            int said = BinaryPrimitives.ReadUInt16BigEndian(frame[(packet.Transport + 4)..]);
            bool hasNone = frame[packet.Transport + 6] == 0 && frame[packet.Transport + 7] == 0;
            if (hasNone || said < 8 || said > length)
                return;
            length = said;
        }

        received.Status |= TransportChecked | (isUdp ? UdpChecked : 0);
        uint sum = IgbChecksum.PseudoHeader(frame, packet, length);
        if (IgbChecksum.Sum(frame.Slice(packet.Transport, length), sum) != 0xffff)
            received.Errors |= TransportWrong;
    }

    private static uint IdentificationOf(ReadOnlySpan<byte> frame, IgbPacket packet) =>
        packet.IsIpv4 ? BinaryPrimitives.ReadUInt16BigEndian(frame[(packet.Network + 4)..]) : 0u;

    // Four entries a register, of 7 bits of the hash.
    private int QueueOf(uint hash)
    {
        int entry = (int)(hash & 0x7f);
        return (int)(registers[IgbRegister.Redirection, entry >> 2] >> (8 * (entry & 3)) & 0xf);
    }

    // Types of RSS: 1 IPv4 with TCP, 2 IPv4, 3 IPv6 with TCP, 5 IPv6, 7 IPv4 with UDP, 8 IPv6 with UDP. MRQC enables each.
    private bool TryHash(ReadOnlySpan<byte> frame, IgbPacket packet, out uint hash, out uint type)
    {
        uint fields = (uint)registers[IgbRegister.MultipleQueues];
        hash = type = 0;
        if (packet.Network == 0)
            return false;
        bool isTcp = packet.HasPorts && packet.Protocol == IgbPacket.Tcp;
        bool isUdp = packet.HasPorts && packet.Protocol == IgbPacket.Udp;
        if (packet.IsIpv4)
            type = isTcp && Enables(16) ? 1u : isUdp && Enables(22) ? 7u : Enables(17) ? 2u : 0;
        else
            type = isTcp && (Enables(21) || Enables(18)) ? 3u : isUdp && Enables(23) ? 8u : Enables(20) || Enables(19) ? 5u : 0;
        if (type == 0)
            return false;
        Span<byte> input = stackalloc byte[LongestInput];
        int count = packet.IsIpv4 ? 8 : 32;
        frame.Slice(packet.Network + (packet.IsIpv4 ? 12 : 8), count).CopyTo(input);
        if (type is 1 or 3 or 7 or 8)
        {
            frame.Slice(packet.Transport, 4).CopyTo(input[count..]);
            count += 4;
        }

        hash = Hash(input[..count]);
        return true;

        bool Enables(int bit) => (fields >> bit & 1) != 0;
    }

    // Toeplitz: the sum of the key's 32 bits from each position where the input has a 1.
    private uint Hash(ReadOnlySpan<byte> input)
    {
        const int KeyBytes = 40;
        Span<byte> key = stackalloc byte[KeyBytes];
        for (int i = 0; i < KeyBytes / sizeof(uint); i++)
            BinaryPrimitives.WriteUInt32LittleEndian(key[(4 * i)..], (uint)registers[IgbRegister.HashKey, i]);
        uint hash = 0;
        uint window = BinaryPrimitives.ReadUInt32BigEndian(key);
        for (int i = 0; i < input.Length; i++)
        {
            for (int bit = 7; bit >= 0; bit--)
            {
                if ((input[i] >> bit & 1) != 0)
                    hash ^= window;
                window = window << 1 | (uint)(key[i + 4] >> bit & 1);
            }
        }

        return hash;
    }
}
