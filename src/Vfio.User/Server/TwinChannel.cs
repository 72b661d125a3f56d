using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.User.Captures;
using Vfio.User.Handover;
using Vfio.User.Transport;
using Vfio.User.Wire;

namespace Vfio.User.Server;

/// <summary>The twin socket of a session: DMA requests to the client and their answers, separate from the client's commands.</summary>
/// <remarks>
/// <para>vfio-user, sections "Socket" and "VFIO_USER_VERSION". Any thread of the device may use it; one request is under way at a
/// time. A late answer does not disturb the next request: answers are matched by their id.</para>
/// <para>A client that breaks the protocol here loses its session.</para>
/// </remarks>
internal sealed class TwinChannel : IDisposable
{
    private readonly Lock _lock = new();
    private readonly UnixSocket _socket;
    private readonly TimeSpan _timeout;
    private readonly Action<string> _endSession;
    private readonly MessageBuffer _in;
    private readonly MessageSender _sender;
    private readonly Queue<ushort> _abandoned = new();
    private ushort _id;
    private volatile bool _isStopped;

    /// <summary>Makes the server's end of it.</summary>
    /// <param name="socket">The server's end; owned.</param>
    /// <param name="received">An empty buffer; used, and not disposed, until the session ends.</param>
    /// <param name="timeout">How long the client may take to answer.</param>
    /// <param name="capture">Where its messages are captured; null for nowhere.</param>
    /// <param name="endSession">Called, with the reason, when the client breaks the protocol.</param>
    internal TwinChannel(UnixSocket socket, MessageBuffer received, TimeSpan timeout, CapturePoint? capture, Action<string> endSession)
    {
        received.Capture = capture;
        _socket = socket;
        _in = received;
        _timeout = timeout;
        _endSession = endSession;
        _sender = new MessageSender(socket, timeout, () => Receive() > 0, capture);
    }

    /// <summary>Asks the client to read or write its memory, and waits for the answer.</summary>
    /// <param name="command"><see cref="Command.DmaRead"/> or <see cref="Command.DmaWrite"/>.</param>
    /// <param name="transfer">Which memory; no more than the client takes in one message.</param>
    /// <param name="source">For a write: the bytes.</param>
    /// <param name="destination">For a read: receives the bytes.</param>
    /// <returns>The client's result, or why it did not answer.</returns>
    internal Errno Transfer(Command command, in DmaTransfer transfer, ReadOnlySpan<byte> source, Span<byte> destination)
    {
        Deadline deadline = new(_timeout);
        if (!_lock.TryEnter(deadline.Left))
            return Errno.TimedOut;
        try
        {
            if (_isStopped)
                return Errno.NotConnected;
            Span<byte> head = stackalloc byte[MessageHeader.Length + Blittable.SizeOf<DmaTransfer>()];
            Blittable.Write(head, MessageHeader.ForCommand(++_id, command, Blittable.SizeOf<DmaTransfer>() + source.Length));
            Blittable.Write(head[MessageHeader.Length..], transfer);
            Errno error = _sender.Send(head, source, default);
            return error == Errno.None
                ? WaitForAnswer(command, transfer, destination, deadline)
                : End(error == Errno.TimedOut ? "it did not read what it was sent" : $"sending failed: {VfioException.Describe(error)}");
        }
        finally
        {
            _lock.Exit();
        }
    }

    /// <summary>Ends it from any thread: all waits return.</summary>
    internal void Stop()
    {
        _isStopped = true;
        _socket.Shutdown();
    }

    /// <summary>Saves the connection and the requests that are not answered; no request has a waiter.</summary>
    internal void Save(HandoverWriter to)
    {
        lock (_lock)
        {
            to.Write(_socket.Descriptor);
            to.Write(_id);
            to.Write(_abandoned.Count);
            foreach (ushort id in _abandoned)
                to.Write(id);
            _in.Save(to);
        }
    }

    /// <summary>Restores what another process saved, except the connection, which the constructor got.</summary>
    /// <exception cref="VfioException">EPROTO: it is not valid.</exception>
    internal void Restore(HandoverReader from)
    {
        _id = from.Read<ushort>();
        for (int count = from.ReadCount(ushort.MaxValue + 1); count > 0; count--)
            _abandoned.Enqueue(from.Read<ushort>());
        _in.Restore(from);
    }

    /// <summary>Leaves the connection to another process, and closes it here.</summary>
    internal void LetGo()
    {
        lock (_lock)
            _in.Depart();
        Dispose();
    }

    /// <summary>Closes it, after <see cref="Stop"/>, once no thread uses it.</summary>
    public void Dispose()
    {
        lock (_lock)
            _socket.Dispose();
    }

    private Errno WaitForAnswer(Command command, in DmaTransfer transfer, Span<byte> destination, Deadline deadline)
    {
        while (true)
        {
            while (_in.TryScan(out MessageHeader header, out ReadOnlySpan<byte> body))
            {
                _in.TryTake(_in.ScannedEnd, out _, out _, out int position);
                if (_in.HoldsDescriptors)
                    _in.Claim(position, default, out _);
                if (header.Type != MessageFlags.Reply || header.Command is not (Command.DmaRead or Command.DmaWrite))
                    return End($"{header.Command} on the twin socket, id {header.Id}");
                if (header.Id == _id && header.Command == command)
                    return Take(header, body, transfer, destination);
                if (!_abandoned.TryDequeue(out ushort late) || late != header.Id)
                    return End($"a reply to no request: {header.Command}, id {header.Id}");
            }

            if (_in.Broken is string broken)
                return End(broken);
            if (deadline.HasPassed)
                return Abandon();
            _in.Compact();
            if (Poll.WaitReadable(_socket.Descriptor, deadline.Left) && Receive() == 0)
                return End("it closed the twin socket");
        }
    }

    private Errno Take(in MessageHeader header, ReadOnlySpan<byte> body, in DmaTransfer transfer, Span<byte> destination)
    {
        if (header.IsError)
            return header.Error is 0 or > 4095 ? Errno.InputOutput : (Errno)header.Error;
        if (!transfer.IsAnsweredBy(header.Command, body))
            return End($"an answer to another {header.Command}");
        if (header.Command == Command.DmaRead)
            body[Blittable.SizeOf<DmaTransfer>()..].CopyTo(destination);
        return Errno.None;
    }

    /// <summary>Gives up a request, in order: a client answers in order.</summary>
    private Errno Abandon()
    {
        if (_in.IsMidMessage)
            End("it stopped in the middle of a message");
        _abandoned.Enqueue(_id);
        return Errno.TimedOut;
    }

    /// <returns>0 when the client closed.</returns>
    private int Receive()
    {
        if (!_in.HasRoom)
            return -1;
        int count = _in.ReceiveBytes(_socket, wait: false, out Errno error);
        if (count > 0)
            _in.Accept(count, error);
        return count >= 0 || error == Errno.TryAgain ? count : 0;
    }

    private Errno End(string reason)
    {
        _isStopped = true;
        _endSession(reason);
        return Errno.NotConnected;
    }
}
