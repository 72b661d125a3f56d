using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Conformance;

/// <summary>The client's side of DMA_READ and DMA_WRITE: memory without a descriptor, and a record of the server's requests.</summary>
internal sealed class DmaPeer
{
    private readonly ulong _start;
    private readonly byte[] _memory;

    /// <summary>Makes memory and maps it.</summary>
    internal DmaPeer(Peer peer, ulong start, int bytes, DmaAccess access = DmaAccess.ReadWrite)
    {
        _start = start;
        _memory = new byte[bytes];
        for (int i = 0; i < bytes; i++)
            _memory[i] = (byte)((i * 7) + 3);
        peer.Need(Requests.DmaMap(start, (ulong)bytes, access));
        peer.OnCommand = Answer;
    }

    /// <summary>The requests, in order.</summary>
    internal List<(Command Command, DmaTransfer Transfer)> Asked { get; } = [];

    /// <summary>The first request that the specification does not allow; null when there was none.</summary>
    internal string? Fault { get; private set; }

    /// <summary>The memory.</summary>
    internal Span<byte> Memory => _memory;

    /// <summary>Replaces the right answer; returns null to send none.</summary>
    internal Func<Request, Received, byte[]?>? Spoil { get; set; }

    private void Answer(Peer peer, Received request)
    {
        Command command = request.Header.Command;
        if (command is not (Command.DmaRead or Command.DmaWrite))
        {
            Fault ??= $"the server sent {MessageText.NameOf(command)}";
            peer.Send(new Request(command, []).ToMessage(request.Header.Id, MessageFlags.Reply | MessageFlags.Error,
                error: (uint)Errno.InvalidArgument));
            return;
        }

        DmaTransfer transfer = request.At<DmaTransfer>(0);
        Asked.Add((command, transfer));
        ulong at = transfer.Address - _start;
        if (at > (ulong)_memory.Length || transfer.Count > (ulong)_memory.Length - at)
        {
            Fault ??= $"{transfer.Count} bytes at 0x{transfer.Address:x} are not mapped";
            peer.Send(new Request(command, []).ToMessage(request.Header.Id, MessageFlags.Reply | MessageFlags.Error,
                error: (uint)Errno.BadAddress));
            return;
        }

        Span<byte> bytes = _memory.AsSpan((int)at, (int)transfer.Count);
        if (command == Command.DmaWrite && request.Body.Length != 16 + bytes.Length)
            Fault ??= $"a write of {transfer.Count} bytes has {request.Body.Length - 16} bytes of data";
        else if (command == Command.DmaWrite)
            request.Body.AsSpan(16).CopyTo(bytes);
        Request reply = new(command, [.. Requests.Bytes(transfer), .. command == Command.DmaRead ? bytes : []]);
        byte[]? message = Spoil is null ? reply.ToMessage(request.Header.Id, MessageFlags.Reply) : Spoil(reply, request);
        if (message is not null)
            peer.Send(message);
    }
}
