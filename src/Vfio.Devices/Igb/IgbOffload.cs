namespace Vfio.Devices.Igb;

/// <summary>What is to be computed in a frame before it leaves: from a context descriptor, or from a legacy one.</summary>
/// <remarks>82576 Datasheet, sections 7.2.2.1 and 7.2.2.2. Lengths are the driver's and not checked yet.</remarks>
internal readonly record struct IgbOffload
{
    internal int MacLength { get; private init; }

    internal int NetworkLength { get; private init; }

    internal int TransportLength { get; private init; }

    internal int SegmentBytes { get; private init; }

    internal bool IsIpv4 { get; private init; }

    internal int Protocol { get; private init; }

    internal ushort Vlan { get; private init; }

    internal bool InsertsIp { get; private init; }

    internal bool InsertsTransport { get; private init; }

    /// <summary>Of a legacy descriptor: sum from here to the end.</summary>
    internal int SumFrom { get; private init; }

    /// <summary>Of a legacy descriptor: where the sum goes; -1 for no such sum.</summary>
    internal int SumAt => SumPlace - 1;

    private int SumPlace { get; init; }

    /// <summary>What a context descriptor says.</summary>
    internal static IgbOffload OfContext(ulong first, ulong second) => new()
    {
        NetworkLength = (int)(first & 0x1ff),
        MacLength = (int)(first >> 9 & 0x7f),
        Vlan = (ushort)(first >> 16),
        IsIpv4 = (second & 0x400) != 0,
        Protocol = (second >> 11 & 3) switch { 0 => IgbPacket.Udp, 1 => IgbPacket.Tcp, 2 => IgbPacket.Sctp, _ => 0 },
        TransportLength = (int)(second >> 40 & 0xff),
        SegmentBytes = (int)(second >> 48),
    };

    /// <summary>What CSO and CSS of a legacy descriptor say.</summary>
    internal static IgbOffload OfLegacy(int insertAt, int from) => new() { SumPlace = insertAt + 1, SumFrom = from };

    /// <summary>The same, with what the first data descriptor asks for: POPTS.IXSM and POPTS.TXSM.</summary>
    internal IgbOffload With(bool insertsIp, bool insertsTransport) =>
        this with { InsertsIp = insertsIp, InsertsTransport = insertsTransport };
}
