using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Providers;
using Vfio.User.Wire;

namespace Vfio.User.Client;

/// <summary>Answers DMA_READ and DMA_WRITE from mapped memory; a server may request nothing else.</summary>
/// <remarks>Not thread-safe.</remarks>
/// <param name="mappings">The memory that the server may access.</param>
/// <param name="maxTransferBytes">Data bytes that this side takes in one message.</param>
internal sealed class DmaAnswers(DmaMappings mappings, int maxTransferBytes)
{
    private readonly byte[] _answer = GC.AllocateUninitializedArray<byte>(maxTransferBytes + Protocol.OverheadBytes, pinned: true);

    /// <summary>The error text for a command that has the error bit, which only a reply may have.</summary>
    internal static string FaultOf(in MessageHeader header) =>
        $"it sent {header.Command}, id {header.Id}, as a command with an error in it";

    /// <summary>Carries out a request.</summary>
    /// <returns>The whole reply, valid until the next; empty when none is requested.</returns>
    internal ReadOnlySpan<byte> Answer(in MessageHeader header, ReadOnlySpan<byte> body)
    {
        int fixedBytes = MessageHeader.Length + Blittable.SizeOf<DmaTransfer>();
        int length = fixedBytes;
        Errno error = Errno.InvalidArgument;
        if (Blittable.TryRead(body, out DmaTransfer transfer) && transfer.Count <= (ulong)maxTransferBytes)
        {
            int count = (int)transfer.Count;
            if (header.Command == Command.DmaRead)
            {
                error = mappings.Read(transfer.Address, _answer.AsSpan(fixedBytes, count));
                length += count;
            }
            else if (header.Command == Command.DmaWrite && body.Length == Blittable.SizeOf<DmaTransfer>() + count)
            {
                error = mappings.Write(transfer.Address, body[Blittable.SizeOf<DmaTransfer>()..]);
            }
        }

        if (header.WantsNoReply)
            return default;
        if (error != Errno.None)
            length = MessageHeader.Length;
        Blittable.Write(_answer, header.Reply(length - MessageHeader.Length, error));
        if (error == Errno.None)
            Blittable.Write(_answer.AsSpan(MessageHeader.Length), transfer);
        return _answer.AsSpan(0, length);
    }
}
