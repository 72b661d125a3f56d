namespace Vfio.Net;

/// <summary>A reply to an echo request of a <see cref="Pinger"/>.</summary>
/// <param name="Sequence">The sequence number of the request.</param>
/// <param name="Bytes">ICMP header and data.</param>
/// <param name="TimeToLive">How many routers it might still have passed.</param>
/// <param name="RoundTrip">Time since the question was sent.</param>
/// <param name="Kind">Whether it is the expected reply.</param>
internal readonly record struct PingReply(ushort Sequence, int Bytes, byte TimeToLive, TimeSpan RoundTrip, PingReplyKind Kind);

/// <summary>Whether a reply is the expected one.</summary>
internal enum PingReplyKind
{
    /// <summary>It is the expected reply.</summary>
    Good,

    /// <summary>A second reply to a request.</summary>
    Duplicate,

    /// <summary>Its data are not those that were sent.</summary>
    Corrupt,
}
