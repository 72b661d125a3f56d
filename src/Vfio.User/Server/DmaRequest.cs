using System.Buffers;
using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.User.Handover;
using Vfio.User.Wire;

namespace Vfio.User.Server;

/// <summary>A DMA_READ or DMA_WRITE that the client has not answered; one of a fixed number of places.</summary>
/// <remarks>Guarded by the channel's lock. A request whose waiter gave up keeps its place until the late answer comes, so that the answer
/// is not taken for that of a later request.</remarks>
internal sealed class DmaRequest
{
    private readonly int _place;
    private byte[] _data = [];
    private bool _isAbandoned;
    private ushort _generation;
    private Command _command;
    private DmaTransfer _transfer;

    /// <summary>Makes a free place.</summary>
    /// <param name="place">Its number, below <see cref="Places"/>.</param>
    internal DmaRequest(int place) => _place = place;

    /// <summary>How many requests may be under way at a time; a power of two.</summary>
    internal const int Places = 32;

    /// <summary>Whether it is not in use.</summary>
    internal bool IsFree { get; private set; } = true;

    /// <summary>Whether the answer has arrived.</summary>
    internal bool IsAnswered { get; private set; }

    /// <summary>The client's result.</summary>
    internal Errno Result { get; private set; }

    private ushort Id => (ushort)((_generation * Places) + _place);

    /// <summary>The place that an id names.</summary>
    internal static int PlaceOf(ushort id) => id % Places;

    /// <summary>Takes the place, and makes the message's header.</summary>
    internal MessageHeader Begin(Command command, in DmaTransfer transfer)
    {
        IsFree = false;
        _generation++;
        _command = command;
        _transfer = transfer;
        int count = (int)transfer.Count;
        if (command == Command.DmaRead)
            _data = ArrayPool<byte>.Shared.Rent(count);
        int body = Blittable.SizeOf<DmaTransfer>() + (command == Command.DmaWrite ? count : 0);
        return MessageHeader.ForCommand(Id, command, body);
    }

    /// <summary>Stores an answer.</summary>
    /// <returns>False when it is not the answer to this.</returns>
    internal bool Answer(in MessageHeader header, ReadOnlySpan<byte> body)
    {
        if (IsFree || IsAnswered || header.Id != Id || header.Command != _command)
            return false;
        if (header.IsError)
        {
            Result = header.Error is 0 or > 4095 ? Errno.InputOutput : (Errno)header.Error;
        }
        else if (!_transfer.IsAnsweredBy(_command, body))
        {
            return false;
        }
        else
        {
            Result = Errno.None;
            if (_command == Command.DmaRead)
                body[Blittable.SizeOf<DmaTransfer>()..].CopyTo(_data);
        }

        IsAnswered = true;
        if (_isAbandoned)
            Free();
        return true;
    }

    /// <summary>Called when the waiter has given up; the place becomes free with the answer.</summary>
    internal void Abandon() => _isAbandoned = true;

    /// <summary>Copies out the bytes that the client sent.</summary>
    /// <param name="destination">As long as was asked for; empty for a write.</param>
    internal void CopyTo(Span<byte> destination) => _data.AsSpan(0, destination.Length).CopyTo(destination);

    /// <summary>Saves a request that the client still has to answer, without a waiter.</summary>
    internal void Save(HandoverWriter to)
    {
        to.Write(_generation);
        to.Write(IsFree ? (ushort)0 : (ushort)_command);
        to.Write(_transfer);
    }

    /// <summary>Restores what another process saved.</summary>
    /// <exception cref="VfioException">EPROTO: no such request is possible.</exception>
    internal void Restore(HandoverReader from)
    {
        _generation = (ushort)(from.Read<ushort>() - 1);
        Command command = (Command)from.Read<ushort>();
        DmaTransfer transfer = from.Read<DmaTransfer>();
        if (command is not (0 or Command.DmaRead or Command.DmaWrite) || transfer.Count > Protocol.DefaultDataTransferBytes)
            throw from.Broken("a DMA request");
        if (command == 0)
            return;
        Begin(command, transfer);
        Abandon();
    }

    /// <summary>Frees the place and its memory.</summary>
    internal void Free()
    {
        if (_data.Length > 0)
            ArrayPool<byte>.Shared.Return(_data);
        _data = [];
        IsFree = true;
        IsAnswered = false;
        _isAbandoned = false;
    }
}
