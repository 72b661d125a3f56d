using System.Buffers.Binary;
using System.Net;
using Vfio.Devices.Network;

namespace Vfio.Tests.Devices;

/// <summary>What the 82576 computes for its driver: checksums, tags, segments, hashes, and headers apart from data.</summary>
public sealed class IgbOffloadTests : IDisposable
{
    private const int Ethernet = 14, Ip = 20, Tcp = 20, Udp = 8;
    private const uint InsertVlan = 0x4000_0000, Segment = 0x8000_0000, SumIp = 0x100, SumTransport = 0x200;
    private const string Own = "028257600001";

    // The key of the verification suite for receive side scaling.
    private const string Key = "6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa";
    private readonly IgbRig _igb = new(new LoopBackend());

    public void Dispose() => _igb.Dispose();

    [Fact]
    public void A_tag_is_inserted_from_a_context_and_from_a_legacy_descriptor()
    {
        _igb.Start();
        byte[] frame = IgbRig.Frame(100);
        byte[] tagged = [.. frame[..12], 0x81, 0x00, 0x60, 0x07, .. frame[12..]];
        PutContext(vlan: 0x6007);
        _igb.Send(frame, InsertVlan);
        Assert.Equal(tagged, _igb.TakeFrame());
        _igb.Put(IgbRig.Sent, 0x6007ul << 48 | 0x4b00_0000 | 100);
        _igb.Ring();
        Assert.Equal(tagged, _igb.TakeFrame());
    }

    [Fact]
    public void A_tag_is_stripped_into_the_descriptor()
    {
        _igb.Start();
        _igb[0x0000] |= 1 << 30;
        byte[] frame = IgbRig.Frame(100);
        _igb.Send([.. frame[..12], 0x81, 0x00, 0x60, 0x07, .. frame[12..]]);
        byte[] descriptor = _igb.Take();
        Assert.Equal(0x6007, BinaryPrimitives.ReadUInt16LittleEndian(descriptor.AsSpan(14)));
        Assert.Equal(8, descriptor[8] & 8);
        Assert.Equal(100, BinaryPrimitives.ReadUInt16LittleEndian(descriptor.AsSpan(12)));
        Assert.Equal(frame, _igb.Peek(IgbRig.Received, 100));
    }

    [Theory]
    [InlineData(IpProtocolTcp, 1000)]
    [InlineData(IpProtocolTcp, 1)]
    [InlineData(IpProtocolUdp, 999)]
    public void Checksums_are_computed_and_the_receiver_finds_them_right(int protocol, int data)
    {
        _igb.Start();
        byte[] frame = Packet(protocol, data);
        PutContext(protocol);
        _igb.Send(frame, options: SumIp | SumTransport);
        byte[] descriptor = _igb.Take();
        byte[] received = _igb.Peek(IgbRig.Received, frame.Length);
        AssertSums(received, protocol);

        // IPCS and L4CS, and for UDP UDPCS; no error.
        Assert.Equal(protocol == IpProtocolUdp ? 0x70 : 0x60, descriptor[8] & 0x70);
        Assert.Equal(0, descriptor[11]);
        Assert.Equal(protocol == IpProtocolUdp ? 0x21 : 0x11, descriptor[0] >> 4 | (descriptor[1] & 0xf) << 4);
    }

    [Theory]
    [InlineData(Ethernet + 8, 0x40)]
    [InlineData(Ethernet + Ip + Tcp, 0x20)]
    public void A_wrong_checksum_is_an_error_in_the_descriptor(int wrongAt, int error)
    {
        _igb.Start();
        byte[] frame = Packet(IpProtocolTcp, 100);
        PutContext(IpProtocolTcp);
        _igb.Send(frame, options: SumIp | SumTransport);
        byte[] right = _igb.TakeFrame();
        right[wrongAt] ^= 0x10;
        _igb.Send(right);
        byte[] descriptor = _igb.Take();
        Assert.Equal(error, descriptor[11]);
    }

    [Fact]
    public void A_legacy_descriptor_sums_from_where_it_says()
    {
        _igb.Start();
        byte[] frame = Packet(IpProtocolUdp, 50);
        _igb.Poke(IgbRig.Sent, frame);
        _igb.Put(IgbRig.Sent, (ulong)(Ethernet + Ip) << 40 | 0x0f00_0000 | (uint)(Ethernet + Ip + 6) << 16 | (uint)frame.Length);
        _igb.Ring();
        AssertTransportSum(_igb.TakeFrame(), IpProtocolUdp);
    }

    [Fact]
    public void A_long_TCP_packet_is_cut_into_segments_with_headers_of_their_own()
    {
        _igb.Start();
        const int SegmentBytes = 1000;
        byte[] frame = Packet(IpProtocolTcp, 2500, flags: 0x99); // CWR, ACK, PSH, FIN
        PutContext(IpProtocolTcp, segment: SegmentBytes);
        SetPseudoSum(frame, IpProtocolTcp, length: 0);
        _igb.Send(frame, Segment, SumIp | SumTransport);
        List<byte> data = [];
        for (int i = 0; i < 3; i++)
        {
            byte[] segment = _igb.TakeFrame();
            AssertSums(segment, IpProtocolTcp);
            Assert.Equal(segment.Length - Ethernet, BinaryPrimitives.ReadUInt16BigEndian(segment.AsSpan(Ethernet + 2)));
            Assert.Equal(0x1234 + i, BinaryPrimitives.ReadUInt16BigEndian(segment.AsSpan(Ethernet + 4)));
            Assert.Equal(1_000_000u + (uint)(i * SegmentBytes), BinaryPrimitives.ReadUInt32BigEndian(segment.AsSpan(Ethernet + Ip + 4)));
            Assert.Equal(i switch { 0 => 0x90, 1 => 0x10, _ => 0x19 }, segment[Ethernet + Ip + 13]);
            data.AddRange(segment[(Ethernet + Ip + Tcp)..]);
        }

        Assert.Equal(frame[(Ethernet + Ip + Tcp)..], data);
        Assert.Equal((1u, 3u), (_igb[0x40f8], _igb[0x4080]));
    }

    // Microsoft's verification suite for receive side scaling.
    [Theory]
    [InlineData("66.9.149.187", 2794, "161.142.100.80", 1766, 0x323e8fc2u, 0x51ccc178u)]
    [InlineData("199.92.111.2", 14230, "65.69.140.83", 4739, 0xd718262au, 0xc626b0eau)]
    [InlineData("24.19.198.95", 12898, "12.22.207.184", 38024, 0xd2d0a5deu, 0x5c2b394au)]
    public void A_hash_of_addresses_and_ports_selects_the_queue(
        string source, int sourcePort, string destination, int port, uint ofAddresses, uint ofPorts)
    {
        SetHash(1u << 17);
        byte[] frame = Packet(IpProtocolTcp, 10);
        IPAddress.Parse(source).GetAddressBytes().CopyTo(frame, Ethernet + 12);
        IPAddress.Parse(destination).GetAddressBytes().CopyTo(frame, Ethernet + 16);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(Ethernet + Ip), (ushort)sourcePort);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(Ethernet + Ip + 2), (ushort)port);
        AssertHash(frame, ofAddresses, type: 2);
        _igb[0x5818] = 2 | 1u << 16;
        AssertHash(frame, ofPorts, type: 1);
    }

    [Fact]
    public void IPv6_is_hashed_too()
    {
        SetHash(1u << 18);
        byte[] frame = new byte[Ethernet + 40 + Tcp + 10];
        Convert.FromHexString(Own + "02000000000086dd6000000000").CopyTo(frame, 0);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(Ethernet + 4), Tcp + 10);
        frame[Ethernet + 6] = IpProtocolTcp;
        IPAddress.Parse("3ffe:2501:200:1fff::7").GetAddressBytes().CopyTo(frame, Ethernet + 8);
        IPAddress.Parse("3ffe:2501:200:3::1").GetAddressBytes().CopyTo(frame, Ethernet + 24);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(Ethernet + 40), 2794);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(Ethernet + 42), 1766);
        frame[Ethernet + 40 + 12] = 0x50;
        AssertHash(frame, 0x40207d3d, type: 3);
    }

    [Fact]
    public void Headers_are_put_into_a_buffer_of_their_own()
    {
        const int HeaderBuffer = 0x18000;
        _igb.Start(split: 0x0400_0202); // header split, 128 bytes for headers, 2 KiB for data
        _igb[0x5480] = 1 << 2;          // IPv4 and TCP
        _igb.Poke(0x800 + 8, BitConverter.GetBytes((ulong)HeaderBuffer));
        byte[] frame = Packet(IpProtocolTcp, 500);
        _igb.Send(frame);
        byte[] descriptor = _igb.Take();
        const int HeaderBytes = Ethernet + Ip + Tcp;
        uint info = BinaryPrimitives.ReadUInt32LittleEndian(descriptor);
        Assert.Equal(1u, info >> 31);
        Assert.Equal((uint)HeaderBytes, info >> 21 & 0x3ff);
        Assert.Equal(500, BinaryPrimitives.ReadUInt16LittleEndian(descriptor.AsSpan(12)));
        Assert.Equal(frame[..HeaderBytes], _igb.Peek(HeaderBuffer, HeaderBytes));
        Assert.Equal(frame[HeaderBytes..], _igb.Peek(IgbRig.Received, 500));
    }

    private const int IpProtocolTcp = 6, IpProtocolUdp = 17;

    private static byte[] Packet(int protocol, int data, byte flags = 0x10)
    {
        int transport = protocol == IpProtocolTcp ? Tcp : Udp;
        byte[] frame = new byte[Ethernet + Ip + transport + data];
        Convert.FromHexString(Own + "0200000000020800" + "450000001234400040").CopyTo(frame, 0);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(Ethernet + 2), (ushort)(frame.Length - Ethernet));
        frame[Ethernet + 9] = (byte)protocol;
        Convert.FromHexString("c0000201c0000202").CopyTo(frame, Ethernet + 12);
        Span<byte> header = frame.AsSpan(Ethernet + Ip);
        BinaryPrimitives.WriteUInt16BigEndian(header, 40000);
        BinaryPrimitives.WriteUInt16BigEndian(header[2..], 5000);
        if (protocol == IpProtocolTcp)
        {
            BinaryPrimitives.WriteUInt32BigEndian(header[4..], 1_000_000);
            header[12] = 0x50;
            header[13] = flags;
        }
        else
        {
            BinaryPrimitives.WriteUInt16BigEndian(header[4..], (ushort)header.Length);
        }

        for (int i = 0; i < data; i++)
            header[transport + i] = (byte)(i * 3);
        SetPseudoSum(frame, protocol, header.Length);
        return frame;
    }

    // What a driver leaves in the field for the device.
    private static void SetPseudoSum(byte[] frame, int protocol, int length)
    {
        int at = Ethernet + Ip + (protocol == IpProtocolTcp ? 16 : 6);
        byte[] pseudo = [.. frame[(Ethernet + 12)..(Ethernet + 20)], 0, (byte)protocol, (byte)(length >> 8), (byte)length];
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(at), (ushort)PlainSum(pseudo));
    }

    private static uint PlainSum(byte[] bytes)
    {
        uint sum = 0;
        for (int i = 0; i < bytes.Length; i++)
            sum += (uint)bytes[i] << (i % 2 == 0 ? 8 : 0);
        while (sum > 0xffff)
            sum = (sum & 0xffff) + (sum >> 16);
        return sum;
    }

    private static void AssertSums(byte[] frame, int protocol)
    {
        Assert.Equal(0xffffu, PlainSum(frame[Ethernet..(Ethernet + Ip)]));
        AssertTransportSum(frame, protocol);
    }

    private static void AssertTransportSum(byte[] frame, int protocol)
    {
        int length = BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(Ethernet + 2)) - Ip;
        byte[] pseudo = [.. frame[(Ethernet + 12)..(Ethernet + 20)], 0, (byte)protocol, (byte)(length >> 8), (byte)length];
        Assert.Equal(0xffffu, PlainSum([.. pseudo, .. frame[(Ethernet + Ip)..(Ethernet + Ip + length)]]));
    }

    private void PutContext(int protocol = IpProtocolTcp, int segment = 0, ushort vlan = 0)
    {
        ulong lengths = (ulong)vlan << 16 | Ethernet << 9 | Ip;
        ulong kind = protocol == IpProtocolTcp ? 0x0c00u : 0x0400u;
        ulong transport = protocol == IpProtocolTcp ? Tcp : (ulong)Udp;
        _igb.Put(lengths, (ulong)segment << 48 | transport << 40 | 0x2020_0000 | kind);
    }

    private void SetHash(uint fields)
    {
        byte[] key = Convert.FromHexString(Key);
        for (int i = 0; i < 10; i++)
            _igb[0x5c80 + (4 * i)] = BinaryPrimitives.ReadUInt32LittleEndian(key.AsSpan(4 * i));
        for (int queue = 0; queue < 16; queue++)
            _igb.Start(queue);

        // Entry n of 128 has queue n mod 16.
        for (int i = 0; i < 32; i++)
            _igb[0x5c00 + (4 * i)] = (uint)(4 * i % 16) * 0x0101_0101 + 0x0302_0100;
        _igb[0x5000] |= 1 << 13;
        _igb[0x5818] = 2 | fields;
    }

    private void AssertHash(byte[] frame, uint hash, int type)
    {
        _igb.Send(frame);
        byte[] descriptor = _igb.Take((int)(hash & 0xf));
        Assert.Equal(hash, BinaryPrimitives.ReadUInt32LittleEndian(descriptor.AsSpan(4)));
        Assert.Equal(type, descriptor[0] & 0xf);
    }
}
