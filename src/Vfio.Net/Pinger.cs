using System.Diagnostics;
using Vfio.Drivers.Ethernet;

namespace Vfio.Net;

/// <summary>Sends ICMP echo requests to one address and recognizes the replies; before that it resolves the station's address by
/// ARP.</summary>
/// <remarks>
/// <para>RFC 792 and 826. It writes frames and reads frames; its caller sends and waits. Times are
/// <see cref="Stopwatch"/> timestamps, given by the caller.</para>
/// <para>One thread at a time. Nothing is allocated once it is made, and nothing that comes in makes it throw.</para>
/// </remarks>
internal sealed class Pinger
{
    /// <summary>Data bytes that <c>ping</c> sends by default.</summary>
    public const int UsualDataBytes = 56;

    /// <summary>Questions whose answers are still known: one that comes after so many more were asked is not counted.</summary>
    public const int Window = 4096;

    private const long Unused = 0, Answered = -1;
    private readonly MacAddress _hardware;
    private readonly Ipv4Interface _network;
    private readonly ushort _identifier;
    private readonly int _dataBytes;
    private readonly long[] _sentAt = new long[Window];
    private readonly ushort[] _sequences = new ushort[Window];
    private MacAddress _station;

    /// <summary>Makes it; nothing is asked yet.</summary>
    /// <param name="hardware">The station's own address on Ethernet.</param>
    /// <param name="network">The own address.</param>
    /// <param name="target">The target's address.</param>
    /// <param name="nextHop">The next hop: the target itself, or a gateway.</param>
    /// <param name="dataBytes">Data in each question, 0 to 65507.</param>
    /// <param name="identifier">What its questions carry, so that it knows its own answers from others'.</param>
    public Pinger(
        MacAddress hardware, Ipv4Interface network, Ipv4Address target, Ipv4Address nextHop,
        int dataBytes = UsualDataBytes, ushort identifier = 1)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(dataBytes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(
            dataBytes, Ipv4Packet.MaxBytes - Ipv4Packet.PlainHeaderBytes - IcmpEcho.HeaderBytes);
        (_hardware, _network, Target, NextHop) = (hardware, network, target, nextHop);
        (_dataBytes, _identifier) = (dataBytes, identifier);
    }

    /// <summary>The target's address.</summary>
    public Ipv4Address Target { get; }

    /// <summary>The next hop: the target itself, or a gateway.</summary>
    public Ipv4Address NextHop { get; }

    /// <summary>Address on Ethernet of the target or the gateway; null until ARP has resolved it.</summary>
    public MacAddress? Station => _station == default ? null : _station;

    /// <summary>Length of a question's frame, in bytes.</summary>
    public int FrameBytes => Math.Max(
        EthernetPacket.MinBytes, EthernetPacket.PlainHeaderBytes + Ipv4Packet.PlainHeaderBytes + IcmpEcho.HeaderBytes + _dataBytes);

    /// <summary>Questions written.</summary>
    public long Sent { get; private set; }

    /// <summary>Good answers, each to a question of its own.</summary>
    public long Received { get; private set; }

    /// <summary>Answers to what was answered already.</summary>
    public long Duplicates { get; private set; }

    /// <summary>Answers with other data than were sent.</summary>
    public long Corrupt { get; private set; }

    /// <summary>Share of the questions that have no good answer, 0 to 1.</summary>
    public double Loss => Sent == 0 ? 0 : (double)(Sent - Received) / Sent;

    /// <summary>Writes the question who has the target's address, or the gateway's.</summary>
    /// <param name="frame">At least 60 bytes.</param>
    /// <returns>The frame's length.</returns>
    public int WriteArpRequest(Span<byte> frame)
    {
        EthernetPacket.WriteHeader(frame, MacAddress.Broadcast, _hardware, EtherType.Arp);
        ArpPacket.Write(
            frame[EthernetPacket.PlainHeaderBytes..], ArpOperation.Request, _hardware, _network.Address, default, NextHop);
        return EthernetPacket.Fill(frame, EthernetPacket.PlainHeaderBytes + ArpPacket.Bytes);
    }

    /// <summary>Writes the next question; the first has the sequence number 1.</summary>
    /// <param name="frame">At least <see cref="FrameBytes"/> bytes.</param>
    /// <param name="now">When it is sent.</param>
    /// <returns>The frame's length.</returns>
    /// <exception cref="InvalidOperationException"><see cref="Station"/> is not known.</exception>
    public int WriteEchoRequest(Span<byte> frame, long now)
    {
        if (Station is not { } station)
            throw new InvalidOperationException("Resolve the station's address first.");
        Sent++;
        ushort sequence = (ushort)Sent;
        EthernetPacket.WriteHeader(frame, station, _hardware, EtherType.Ipv4);
        Span<byte> packet = frame[EthernetPacket.PlainHeaderBytes..];
        Ipv4Packet.WriteHeader(packet, IcmpEcho.HeaderBytes + _dataBytes, IpProtocol.Icmp, _network.Address, Target);
        Span<byte> message = packet.Slice(Ipv4Packet.PlainHeaderBytes, IcmpEcho.HeaderBytes + _dataBytes);
        Span<byte> data = message[IcmpEcho.HeaderBytes..];
        for (int i = 0; i < data.Length; i++)
            data[i] = DataByte(sequence, i);
        IcmpEcho.WriteHeader(message, IcmpType.EchoRequest, _identifier, sequence);
        _sentAt[sequence % Window] = Math.Max(now, 1);
        _sequences[sequence % Window] = sequence;
        return EthernetPacket.Fill(frame, EthernetPacket.PlainHeaderBytes + Ipv4Packet.PlainHeaderBytes + message.Length);
    }

    /// <summary>Looks at a frame that came in: learns the station's address from an ARP answer, counts an echo's.</summary>
    /// <param name="frame">Any frame.</param>
    /// <param name="now">When it came.</param>
    /// <param name="reply">The answer.</param>
    /// <returns>Whether the frame is the answer to one of the last questions.</returns>
    public bool TryAccept(ReadOnlySpan<byte> frame, long now, out PingReply reply)
    {
        reply = default;
        if (!EthernetPacket.TryRead(frame, out EthernetPacket ethernet) || ethernet.Destination != _hardware)
            return false;
        if (ethernet.Type == EtherType.Arp)
            Learn(ethernet.Payload);
        if (ethernet.Type != EtherType.Ipv4 || Ipv4Packet.Read(ethernet.Payload, out Ipv4Packet packet) != PacketFault.None)
            return false;
        bool isFromTarget = packet.Source == Target && packet.Destination == _network.Address;
        if (!isFromTarget || packet.IsFragment || packet.Protocol != IpProtocol.Icmp)
            return false;
        if (IcmpEcho.Read(packet.Payload, out IcmpEcho message) != PacketFault.None
            || message.Type != IcmpType.EchoReply || message.Code != 0 || message.Identifier != _identifier)
        {
            return false;
        }

        int slot = message.Sequence % Window;
        if (_sentAt[slot] == Unused || _sequences[slot] != message.Sequence)
            return false;
        PingReplyKind kind = Check(message, slot);
        TimeSpan time = _sentAt[slot] == Answered ? TimeSpan.Zero : Stopwatch.GetElapsedTime(_sentAt[slot], now);
        if (kind == PingReplyKind.Good)
            _sentAt[slot] = Answered;
        reply = new PingReply(message.Sequence, packet.Payload.Length, packet.TimeToLive, time, kind);
        return true;
    }

    // Every question has other data, so that an answer with an older one's is found out.
    private static byte DataByte(ushort sequence, int index) => (byte)(sequence + index);

    private PingReplyKind Check(IcmpEcho message, int slot)
    {
        if (!HasDataOf(message))
        {
            Corrupt++;
            return PingReplyKind.Corrupt;
        }

        if (_sentAt[slot] == Answered)
        {
            Duplicates++;
            return PingReplyKind.Duplicate;
        }

        Received++;
        return PingReplyKind.Good;
    }

    private bool HasDataOf(IcmpEcho message)
    {
        ReadOnlySpan<byte> data = message.Data;
        if (data.Length != _dataBytes)
            return false;
        for (int i = 0; i < data.Length; i++)
        {
            if (data[i] != DataByte(message.Sequence, i))
                return false;
        }

        return true;
    }

    private void Learn(ReadOnlySpan<byte> payload)
    {
        if (ArpPacket.TryRead(payload, out ArpPacket arp) && arp.Operation == ArpOperation.Reply
            && arp.SenderProtocol == NextHop && arp.SenderHardware.IsStation && arp.SenderHardware != _hardware)
        {
            _station = arp.SenderHardware;
        }
    }
}
