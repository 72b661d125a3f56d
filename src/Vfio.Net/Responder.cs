using Vfio.Drivers.Ethernet;

namespace Vfio.Net;

/// <summary>Answers for one address: ARP, ICMP echo, and UDP echo at one port.</summary>
/// <remarks>
/// <para>RFC 826, 792 and 862, and what RFC 1122 says of hosts. Nothing that comes in makes it throw, and whatever is damaged, a
/// fragment, or not meant for this one station gets no answer; all of it is counted.</para>
/// <para>One thread at a time; counts may be read from any.</para>
/// </remarks>
/// <param name="hardware">The station's own address on Ethernet.</param>
/// <param name="network">The address it answers for.</param>
/// <param name="echoPort">The port of UDP that is answered; null for none.</param>
public sealed class Responder(MacAddress hardware, Ipv4Interface network, ushort? echoPort = Responder.EchoPort)
{
    /// <summary>The port of echo; RFC 862.</summary>
    public const ushort EchoPort = 7;

    private const int FirstFreePort = 1024;
    private readonly long[] _counts = new long[Enum.GetValues<PacketVerdict>().Length];

    /// <summary>The station's own address on Ethernet.</summary>
    public MacAddress Hardware => hardware;

    /// <summary>The address it answers for.</summary>
    public Ipv4Interface Network => network;

    /// <summary>How many frames had such an end.</summary>
    internal long Count(PacketVerdict verdict) => Volatile.Read(ref _counts[(int)verdict]);

    /// <summary>Makes the answer to a frame, if it gets one.</summary>
    /// <param name="frame">A frame without its check sequence.</param>
    /// <param name="answer">Where the answer goes: as long as the frame and at least 60 bytes. It may be the frame's own buffer.</param>
    /// <returns>Length of the answer, at least 60 bytes; 0 for none, and then <paramref name="answer"/> is as it was.</returns>
    /// <exception cref="ArgumentException"><paramref name="answer"/> is too short.</exception>
    public int Answer(ReadOnlySpan<byte> frame, Span<byte> answer) => Answer(frame, answer, out _);

    /// <summary>Makes the answer to a frame, if it gets one.</summary>
    /// <param name="frame">A frame without its check sequence.</param>
    /// <param name="answer">Where the answer goes: as long as the frame and at least 60 bytes. It may be the frame's own buffer.</param>
    /// <param name="verdict">What became of the frame.</param>
    /// <returns>Length of the answer, at least 60 bytes; 0 for none, and then <paramref name="answer"/> is as it was.</returns>
    /// <exception cref="ArgumentException"><paramref name="answer"/> is too short.</exception>
    internal int Answer(ReadOnlySpan<byte> frame, Span<byte> answer, out PacketVerdict verdict)
    {
        if (answer.Length < Math.Max(frame.Length, EthernetPacket.MinBytes))
            throw new ArgumentException($"Got {answer.Length} bytes, need {Math.Max(frame.Length, EthernetPacket.MinBytes)}.", nameof(answer));
        Ipv4Packet packet = default;
        int payloadBytes = 0;
        verdict = EthernetPacket.TryRead(frame, out EthernetPacket ethernet)
            ? Check(ethernet, out packet, out payloadBytes)
            : PacketVerdict.Malformed;
        _counts[(int)verdict]++;
        int length = verdict switch
        {
            PacketVerdict.AnsweredArp => AnswerArp(frame, ethernet, answer),
            PacketVerdict.AnsweredIcmp or PacketVerdict.AnsweredUdp => AnswerIpv4(frame, ethernet, packet, payloadBytes, answer),
            _ => 0,
        };
        return length == 0 ? 0 : EthernetPacket.Fill(answer, length);
    }

    private PacketVerdict Check(EthernetPacket ethernet, out Ipv4Packet packet, out int payloadBytes)
    {
        packet = default;
        payloadBytes = 0;
        if (ethernet.Source.IsGroup)
            return PacketVerdict.Malformed;
        bool isOwn = ethernet.Source == hardware;
        bool isForUs = ethernet.Destination == hardware;
        if (isOwn || !(isForUs || ethernet.Destination == MacAddress.Broadcast))
            return PacketVerdict.NotForUs;
        return ethernet.Type switch
        {
            EtherType.Arp => CheckArp(ethernet.Payload),

            // RFC 1122, section 3.3.6: one that came to all stations is not meant for the one address in it.
            EtherType.Ipv4 => isForUs ? CheckIpv4(ethernet.Payload, out packet, out payloadBytes) : PacketVerdict.NotForUs,
            _ => isForUs ? PacketVerdict.Unserved : PacketVerdict.NotForUs,
        };
    }

    private PacketVerdict CheckArp(ReadOnlySpan<byte> payload)
    {
        if (!ArpPacket.TryRead(payload, out ArpPacket arp))
            return PacketVerdict.Malformed;
        if (arp.SenderProtocol == network.Address)
            return arp.SenderHardware == hardware ? PacketVerdict.NotForUs : PacketVerdict.AddressConflict;
        if (arp.TargetProtocol != network.Address)
            return PacketVerdict.NotForUs;
        if (arp.Operation != ArpOperation.Request)
            return PacketVerdict.Unserved;
        bool isSomebody = arp.SenderProtocol == Ipv4Address.Unspecified || IsHost(arp.SenderProtocol);
        return isSomebody && arp.SenderHardware.IsStation && arp.SenderHardware != hardware
            ? PacketVerdict.AnsweredArp
            : PacketVerdict.Unanswerable;
    }

    private PacketVerdict CheckIpv4(ReadOnlySpan<byte> payload, out Ipv4Packet packet, out int payloadBytes)
    {
        payloadBytes = 0;
        PacketFault fault = Ipv4Packet.Read(payload, out packet);
        if (fault != PacketFault.None)
            return VerdictOf(fault);
        if (packet.Destination != network.Address)
            return PacketVerdict.NotForUs;
        if (packet.IsFragment)
            return PacketVerdict.Fragment;
        if (packet.Source == network.Address || !IsHost(packet.Source))
            return PacketVerdict.Unanswerable;

        // A route that the sender prescribes would have to be followed back (RFC 1122, section 3.2.2.6); hardly anybody lets options in.
        if (packet.HasOptions)
            return PacketVerdict.Unserved;
        payloadBytes = packet.Payload.Length;
        return packet.Protocol switch
        {
            IpProtocol.Icmp => CheckIcmp(packet.Payload),
            IpProtocol.Udp => CheckUdp(packet, out payloadBytes),
            _ => PacketVerdict.Unserved,
        };
    }

    private static PacketVerdict CheckIcmp(ReadOnlySpan<byte> payload)
    {
        PacketFault fault = IcmpEcho.Read(payload, out IcmpEcho message);
        if (fault != PacketFault.None)
            return VerdictOf(fault);
        if (message.Type != IcmpType.EchoRequest)
            return PacketVerdict.Unserved;
        return message.Code == 0 ? PacketVerdict.AnsweredIcmp : PacketVerdict.Malformed;
    }

    private PacketVerdict CheckUdp(Ipv4Packet packet, out int datagramBytes)
    {
        PacketFault fault = UdpDatagram.Read(packet, out UdpDatagram datagram);
        datagramBytes = datagram.TotalBytes;
        if (fault != PacketFault.None)
            return VerdictOf(fault);
        if (datagram.DestinationPort != echoPort)
            return PacketVerdict.Unserved;

        // Another server that answers whatever comes would answer this answer, and so on for ever; such servers have low ports.
        return datagram.SourcePort < FirstFreePort || datagram.SourcePort == echoPort
            ? PacketVerdict.Unanswerable
            : PacketVerdict.AnsweredUdp;
    }

    private int AnswerArp(ReadOnlySpan<byte> frame, EthernetPacket ethernet, Span<byte> answer)
    {
        int header = ethernet.HeaderBytes;
        ArpPacket.TryRead(ethernet.Payload, out ArpPacket arp);
        (MacAddress askerHardware, Ipv4Address asker) = (arp.SenderHardware, arp.SenderProtocol);
        frame[..header].CopyTo(answer);
        EthernetPacket.WriteAddresses(answer, askerHardware, hardware);
        ArpPacket.Write(answer[header..], ArpOperation.Reply, hardware, network.Address, askerHardware, asker);
        return header + ArpPacket.Bytes;
    }

    private int AnswerIpv4(
        ReadOnlySpan<byte> frame, EthernetPacket ethernet, Ipv4Packet packet, int payloadBytes, Span<byte> answer)
    {
        int header = ethernet.HeaderBytes;
        int end = header + Ipv4Packet.PlainHeaderBytes + payloadBytes;
        MacAddress asker = ethernet.Source;
        (Ipv4Address source, byte service, IpProtocol protocol) = (packet.Source, packet.Service, packet.Protocol);

        // The answer may be in the frame's place: nothing of the frame is read after this copy.
        frame[..end].CopyTo(answer);
        EthernetPacket.WriteAddresses(answer, asker, hardware);
        Ipv4Packet.WriteHeader(answer[header..], payloadBytes, protocol, network.Address, source, service);
        Span<byte> message = answer[(header + Ipv4Packet.PlainHeaderBytes)..end];
        if (protocol == IpProtocol.Udp)
            UdpDatagram.MakeReply(message);
        else
            IcmpEcho.MakeReply(message);
        return end;
    }

    private bool IsHost(Ipv4Address address) => address.IsSingleHost && !network.IsBroadcast(address);

    private static PacketVerdict VerdictOf(PacketFault fault) =>
        fault == PacketFault.BadChecksum ? PacketVerdict.BadChecksum : PacketVerdict.Malformed;
}
