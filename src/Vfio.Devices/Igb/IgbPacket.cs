using System.Buffers.Binary;

namespace Vfio.Devices.Igb;

/// <summary>Where the headers of a frame are: found by one pass over its first bytes, each length checked.</summary>
/// <remarks>82576 Datasheet, section 7.1.5 and 7.1.10: one VLAN tag, IPv4 with options, IPv6 with extension headers, TCP, UDP,
/// SCTP.</remarks>
internal readonly struct IgbPacket
{
    internal const int Ethernet = 14, VlanBytes = 4;
    private const ushort Ipv4 = 0x0800, Ipv6 = 0x86dd;
    private const int MostExtensions = 8;

    private IgbPacket(int network, bool isIpv4, int transport, int end, int protocol, bool isFragment)
    {
        Network = network;
        IsIpv4 = isIpv4;
        Transport = transport;
        End = end;
        Protocol = protocol;
        IsFragment = isFragment;
    }

    internal const int Tcp = 6, Udp = 17, Sctp = 132;

    /// <summary>Where the IP header starts; 0 when there is none.</summary>
    internal int Network { get; }

    internal bool IsIpv4 { get; }

    internal bool IsIpv6 => Network != 0 && !IsIpv4;

    /// <summary>Where what IP carries starts; 0 when it is unknown.</summary>
    internal int Transport { get; }

    /// <summary>The end of the IP packet: padding follows.</summary>
    internal int End { get; }

    /// <summary>What IP carries, by its number.</summary>
    internal int Protocol { get; }

    /// <summary>Whether it is a fragment: it has no whole transport header, or not all data.</summary>
    internal bool IsFragment { get; }

    internal bool HasTransport => Transport != 0 && !IsFragment;

    /// <summary>Whether there is a whole TCP header, or a whole UDP header.</summary>
    internal bool HasPorts => HasTransport
        && ((Protocol == Tcp && End - Transport >= 20) || (Protocol == Udp && End - Transport >= 8));

    internal static IgbPacket Parse(ReadOnlySpan<byte> frame, ushort vlanType)
    {
        int at = Ethernet;
        if (frame.Length < at)
            return default;
        int type = BinaryPrimitives.ReadUInt16BigEndian(frame[12..]);
        if (type == vlanType && frame.Length >= at + VlanBytes)
        {
            type = BinaryPrimitives.ReadUInt16BigEndian(frame[16..]);
            at += VlanBytes;
        }

        return type == Ipv4 ? ParseIpv4(frame, at) : type == Ipv6 ? ParseIpv6(frame, at) : default;
    }

    private static IgbPacket ParseIpv4(ReadOnlySpan<byte> frame, int at)
    {
        if (frame.Length < at + 20 || frame[at] >> 4 != 4)
            return default;
        int header = 4 * (frame[at] & 0xf);
        int total = BinaryPrimitives.ReadUInt16BigEndian(frame[(at + 2)..]);
        if (header < 20 || total < header || total > frame.Length - at)
            return default;
        bool isFragment = (BinaryPrimitives.ReadUInt16BigEndian(frame[(at + 6)..]) & 0x3fff) != 0;
        return new IgbPacket(at, true, at + header, at + total, frame[at + 9], isFragment);
    }

    private static IgbPacket ParseIpv6(ReadOnlySpan<byte> frame, int at)
    {
        const int HeaderBytes = 40, HopByHop = 0, Routing = 43, Fragment = 44, Options = 60;
        if (frame.Length < at + HeaderBytes || frame[at] >> 4 != 6)
            return default;
        int end = at + HeaderBytes + BinaryPrimitives.ReadUInt16BigEndian(frame[(at + 4)..]);
        if (end > frame.Length)
            return default;
        int protocol = frame[at + 6];
        int next = at + HeaderBytes;
        for (int i = 0; i < MostExtensions && protocol is HopByHop or Routing or Options; i++)
        {
            if (end - next < 8)
                return new IgbPacket(at, false, 0, end, protocol, false);
            protocol = frame[next];
            next += 8 * (frame[next + 1] + 1);
            if (next > end)
                return new IgbPacket(at, false, 0, end, protocol, false);
        }

        return new IgbPacket(at, false, next, end, protocol, protocol == Fragment);
    }
}
