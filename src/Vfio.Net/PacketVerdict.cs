namespace Vfio.Net;

/// <summary>What became of a frame that a <see cref="Responder"/> looked at.</summary>
public enum PacketVerdict
{
    /// <summary>Somebody asked who has the address, and was told.</summary>
    AnsweredArp,

    /// <summary>An ICMP echo was answered.</summary>
    AnsweredIcmp,

    /// <summary>A UDP echo was answered.</summary>
    AnsweredUdp,

    /// <summary>It is meant for another station or another address, or for all of them where all must not answer.</summary>
    NotForUs,

    /// <summary>It is for this address, and nothing that is answered: another protocol or port, an answer, IP options.</summary>
    Unserved,

    /// <summary>A part of a larger packet.</summary>
    Fragment,

    /// <summary>It is cut short, or its fields contradict each other.</summary>
    Malformed,

    /// <summary>Its checksum says that it was damaged.</summary>
    BadChecksum,

    /// <summary>An answer would go to nobody, to many, or round in circles.</summary>
    Unanswerable,

    /// <summary>Another station uses this address.</summary>
    AddressConflict,
}
