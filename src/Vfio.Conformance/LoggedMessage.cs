namespace Vfio.Conformance;

/// <summary>Something that went over a connection, kept for the report.</summary>
/// <param name="Connection">Which connection of the check, from 1.</param>
/// <param name="IsSent">From this side to the server; else the other way.</param>
/// <param name="Length">Bytes in all.</param>
/// <param name="Bytes">The first of them, at most <see cref="KeptBytes"/>.</param>
/// <param name="Descriptors">Descriptors that went with them.</param>
/// <param name="Text">What they mean.</param>
public sealed record LoggedMessage(int Connection, bool IsSent, int Length, byte[] Bytes, int Descriptors, string Text)
{
    /// <summary>How many bytes of a message are kept.</summary>
    public const int KeptBytes = 96;

    /// <summary>The kept bytes in hex, with an ellipsis where there were more.</summary>
    public string Hex => Convert.ToHexStringLower(Bytes) + (Length > Bytes.Length ? "..." : "");
}
