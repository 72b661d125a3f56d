namespace Vfio.Conformance;

/// <summary>A message of a connection, kept for the report.</summary>
/// <param name="Connection">Which connection of the check, from 1.</param>
/// <param name="IsSent">True from this side to the server, false from the server.</param>
/// <param name="Length">Length in bytes.</param>
/// <param name="Bytes">The first bytes, at most <see cref="KeptBytes"/>.</param>
/// <param name="Descriptors">Number of descriptors that were passed with it.</param>
/// <param name="Text">The decoded message.</param>
internal sealed record LoggedMessage(int Connection, bool IsSent, int Length, byte[] Bytes, int Descriptors, string Text)
{
    /// <summary>Most bytes of a message that are kept.</summary>
    public const int KeptBytes = 96;

    /// <summary>The kept bytes in hex, with an ellipsis if there were more.</summary>
    public string Hex => Convert.ToHexStringLower(Bytes) + (Length > Bytes.Length ? "..." : "");
}
