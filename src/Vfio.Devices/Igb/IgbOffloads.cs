using System.Buffers.Binary;

namespace Vfio.Devices.Igb;

/// <summary>Computes checksums in frames that leave.</summary>
/// <remarks>82576 Datasheet, section 7.2.5. The driver has put the sum of the pseudo header into the field.</remarks>
internal static class IgbOffloads
{
    /// <summary>Computes what is asked for.</summary>
    /// <returns>False when the places that the driver names are not in the frame, which is dropped then.</returns>
    internal static bool Apply(Span<byte> frame, IgbOffload offload)
    {
        if (offload.SumAt >= 0)
            return TrySum(frame, offload.SumFrom, offload.SumAt);
        int network = offload.MacLength;
        int transport = network + offload.NetworkLength;
        if (offload.InsertsTransport && !TrySumTransport(frame, transport, offload.Protocol))
            return false;
        return !offload.InsertsIp || TrySumIp(frame, network, offload.NetworkLength);
    }

    internal static bool TrySumIp(Span<byte> frame, int at, int length)
    {
        const int Field = 10;
        if (length < 20 || at > frame.Length - length)
            return false;
        Span<byte> header = frame.Slice(at, length);
        BinaryPrimitives.WriteUInt16BigEndian(header[Field..], 0);
        BinaryPrimitives.WriteUInt16BigEndian(header[Field..], IgbChecksum.Field(IgbChecksum.Sum(header)));
        return true;
    }

    private static bool TrySumTransport(Span<byte> frame, int at, int protocol)
    {
        if (protocol == IgbPacket.Sctp)
        {
            const int Field = 8;
            if (at > frame.Length - 12)
                return false;
            BinaryPrimitives.WriteUInt32LittleEndian(frame[(at + Field)..], 0);
            BinaryPrimitives.WriteUInt32LittleEndian(frame[(at + Field)..], IgbChecksum.Crc32C(frame[at..]));
            return true;
        }

        int field = at + FieldOf(protocol);
        if (!TrySum(frame, at, field))
            return false;

        // 0 says of UDP that there is no checksum.
        if (protocol == IgbPacket.Udp && frame[field] == 0 && frame[field + 1] == 0)
            frame.Slice(field, 2).Fill(byte.MaxValue);
        return true;
    }

    internal static int FieldOf(int protocol) => protocol == IgbPacket.Tcp ? 16 : 6;

    private static bool TrySum(Span<byte> frame, int from, int at)
    {
        if (from > frame.Length || at > frame.Length - 2)
            return false;
        BinaryPrimitives.WriteUInt16BigEndian(frame[at..], IgbChecksum.Field(IgbChecksum.Sum(frame[from..])));
        return true;
    }
}
