namespace Vfio.Net;

/// <summary>What a <see cref="Responder"/> did with a frame.</summary>
internal enum PacketVerdict
{
    /// <summary>An ARP request was answered.</summary>
    AnsweredArp,

    /// <summary>An ICMP echo was answered.</summary>
    AnsweredIcmp,

    /// <summary>A UDP echo was answered.</summary>
    AnsweredUdp,

    /// <summary>It is meant for another station or another address, or for all of them where all must not answer.</summary>
    NotForUs,

    /// <summary>It is for this address, and of a kind that is not answered: another protocol or port, an answer, IP options.</summary>
    Unserved,

    /// <summary>A part of a larger packet.</summary>
    Fragment,

    /// <summary>It is cut short, or its fields contradict each other.</summary>
    Malformed,

    /// <summary>Its checksum says that it was damaged.</summary>
    BadChecksum,

    /// <summary>An answer would have no receiver or many, or would cause a loop.</summary>
    Unanswerable,

    /// <summary>Another station uses this address.</summary>
    AddressConflict,
}
