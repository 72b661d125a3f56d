namespace Vfio.Net;

/// <summary>An answer to an echo that a <see cref="Pinger"/> asked for.</summary>
/// <param name="Sequence">Which question it answers.</param>
/// <param name="Bytes">ICMP header and data.</param>
/// <param name="TimeToLive">How many routers it might still have passed.</param>
/// <param name="RoundTrip">Time since the question was sent.</param>
/// <param name="Kind">Whether it is what was asked for.</param>
public readonly record struct PingReply(ushort Sequence, int Bytes, byte TimeToLive, TimeSpan RoundTrip, PingReplyKind Kind);

/// <summary>Whether an answer is what was asked for.</summary>
public enum PingReplyKind
{
    /// <summary>It is.</summary>
    Good,

    /// <summary>Another answer to a question that was answered.</summary>
    Duplicate,

    /// <summary>Its data are not those that were sent.</summary>
    Corrupt,
}
