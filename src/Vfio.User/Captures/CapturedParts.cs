using Vfio.Native.Memory;
using Vfio.User.Wire;

namespace Vfio.User.Captures;

/// <summary>How much of each message a capture keeps.</summary>
/// <param name="SnapLengthBytes">At most so many bytes, header included.</param>
/// <param name="RedactsDma">Whether the contents of memory and migration data are left out.</param>
internal sealed record CapturedParts(int SnapLengthBytes, bool RedactsDma)
{
    /// <summary>How many bytes of a message are kept.</summary>
    /// <param name="start">The first of its bytes.</param>
    /// <param name="length">How many it has.</param>
    /// <param name="isPart">Whether it is no message, but what had arrived when the stream ended or broke.</param>
    internal int KeptOf(ReadOnlySpan<byte> start, int length, bool isPart)
    {
        int kept = Math.Min(length, SnapLengthBytes);
        if (!RedactsDma || !Blittable.TryRead(start, out MessageHeader header))
            return kept;

        // Other messages may be in a part behind the first, with what memory held.
        int body = isPart ? 0 : header.Command switch
        {
            Command.DmaRead or Command.DmaWrite => Blittable.SizeOf<DmaTransfer>(),
            Command.MigDataRead or Command.MigDataWrite => Blittable.SizeOf<MigrationDataMessage>(),
            _ => kept,
        };
        return Math.Min(kept, MessageHeader.Length + body);
    }
}
