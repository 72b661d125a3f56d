using System.Runtime.CompilerServices;
using Vfio.Native;
using Vfio.Native.Files;
using Vfio.Native.Memory;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.User.Captures;
using Vfio.User.Handover;
using Vfio.User.Transport;
using Vfio.User.Wire;

namespace Vfio.User.Server;

/// <summary>A client's connection as its session sees it: commands in, replies out, and DMA requests to the client between them.</summary>
/// <remarks>
/// <para>The session's thread takes commands and writes replies. Any thread of the device may ask the client for memory, the
/// session's own too, in the middle of a command.</para>
/// <para>One socket carries both directions, and a thread that waits for something receives: when no other thread receives, it does, and
/// passes what it finds to the others; when it has what it waits for, the next one takes over. So an answer arrives even while the
/// session's thread waits inside a device for another thread that waits for that answer. Commands that arrive meanwhile stay in the
/// buffer until the session's thread returns; when they fill it, the DMA request fails with ENOBUFS.</para>
/// <para>Locks: <c>_lock</c> may be taken while <c>_sending</c> is held, never the other way round. Neither is held while a thread
/// sleeps in the kernel for bytes to arrive.</para>
/// </remarks>
internal sealed partial class ServerChannel
{
    private readonly ParkingLock _lock = new();
    private readonly ParkingLock _sending = new();
    private readonly UnixSocket _socket;
    private readonly VfioUserServerOptions _options;
    private readonly MessageBuffer _in;
    private readonly MessageSender _sender;
    private readonly Spinner _spinner;
    private readonly DmaRequest?[] _requests = new DmaRequest?[DmaRequest.Places];
    private readonly ISessionHandover? _handover;
    private int _owner = Environment.CurrentManagedThreadId;
    private Deadline _messageEnd = Deadline.Never;
    private int _limit;
    private bool _receiving;
    private bool _peerClosed;
    private int _transfers;

    /// <summary>Makes the channel of a connection, for the thread that calls this.</summary>
    /// <param name="socket">The connection; the caller keeps it.</param>
    /// <param name="buffers">Used, and not disposed, until the session ends.</param>
    /// <param name="options">Time limits.</param>
    /// <param name="handover">The socket for successors; null for none.</param>
    internal ServerChannel(UnixSocket socket, SessionBuffers buffers, VfioUserServerOptions options, ISessionHandover? handover)
    {
        _handover = handover;
        _socket = socket;
        _options = options;
        _in = buffers.Received;
        Replies = buffers.Replies;
        _in.Capture = Capture = options.Capture?.Begin(isServer: true);
        _sender = new MessageSender(socket, options.SendTimeout, ReceiveWhileSending, Capture);
        _spinner = new Spinner(options.SpinTime);
        if (handover is not null)
            socket.SetReceiveTimeout(LongestSleep);
    }

    /// <summary>The replies; the session's thread writes them.</summary>
    internal ReplyBuffer Replies { get; }

    /// <summary>Where the session is captured; null for nowhere.</summary>
    internal CapturePoint? Capture { get; }

    /// <summary>The socket for this server's own commands, when the client agreed to one; owned.</summary>
    internal TwinChannel? Twin { get; set; }

    /// <summary>Who sends the descriptors that come, on this socket and on the twin.</summary>
    internal ForeignSender Sender => _socket.Sender;

    /// <summary>Whether nothing can be sent any more.</summary>
    internal bool IsStopped { get; private set; }

    /// <summary>Why the session is over; null while it is not.</summary>
    internal string? EndReason { get; private set; }

    /// <summary>Waits for commands of the client, or for a successor.</summary>
    /// <param name="deadline">When to stop waiting.</param>
    /// <returns>False when none will come any more; <see cref="EndReason"/> says why.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal bool WaitForCommands(Deadline deadline)
    {
        using ParkingLock.Scope inside = _lock.Enter();
        while (true)
        {
            _limit = _in.ScannedEnd;
            if (_in.HasMessage && !IsStopped)
                return true;
            if (EndReason is not null)
                return false;
            if (_handover is { IsAsked: true })
                return true;
            Deadline next = Deadline.Earlier(deadline, _messageEnd);
            if (_receiving)
            {
                _lock.Sleep(next);
            }
            else
            {
                _in.Compact();
                Receive(next, _handover);
            }

            if (!_in.HasMessage && next.HasPassed)
                EndInside(_in.IsMidMessage ? "it stopped in the middle of a message" : "it was silent for too long");
        }
    }

    /// <summary>Takes the next command that <see cref="WaitForCommands"/> found.</summary>
    internal bool TryTake(out MessageHeader header, out ReadOnlySpan<byte> body, out int position) =>
        _in.TryTake(_limit, out header, out body, out position);

    /// <summary>Takes the descriptors of the command that was taken last.</summary>
    /// <param name="position">Which command.</param>
    /// <param name="into">Receives them; the caller owns them.</param>
    /// <param name="lost">Whether some are missing.</param>
    /// <returns>How many.</returns>
    internal int Claim(int position, Span<FileDescriptor?> into, out bool lost)
    {
        lost = false;
        // The descriptors of a whole command arrived before its end, so no lock is needed to find that there are none.
        if (!_in.HoldsDescriptors)
            return 0;
        using ParkingLock.Scope inside = _lock.Enter();
        return _in.Claim(position, into, out lost);
    }

    /// <summary>Sends the waiting replies, and the descriptors or memory of the last one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void Flush()
    {
        ReadOnlySpan<byte> waiting = Replies.Waiting;
        if (waiting.Length == 0)
            return;
        if (Replies.HasCompany || Capture is not null)
            SendWithCompany(waiting);
        else
            SendWhole(waiting);
        Replies.Sent();
    }

    /// <summary>Asks the client to read or write its memory, and waits for the answer.</summary>
    /// <param name="command"><see cref="Command.DmaRead"/> or <see cref="Command.DmaWrite"/>.</param>
    /// <param name="transfer">Which memory; no more than the client takes in one message.</param>
    /// <param name="source">For a write: the bytes.</param>
    /// <param name="destination">For a read: receives the bytes.</param>
    /// <returns>The client's result, or why it did not answer.</returns>
    internal Errno Transfer(Command command, in DmaTransfer transfer, ReadOnlySpan<byte> source, Span<byte> destination)
    {
        bool isOwner = Environment.CurrentManagedThreadId == _owner;
        // The client may wait for an earlier reply before it reads this request.
        if (isOwner)
            Flush();
        if (Twin is TwinChannel twin)
            return twin.Transfer(command, transfer, source, destination);
        Deadline deadline = new(_options.DmaTimeout);
        Errno begun = Begin(command, transfer, deadline, out DmaRequest? request, out MessageHeader header);
        if (request is null)
            return begun;
        Span<byte> head = stackalloc byte[MessageHeader.Length + Blittable.SizeOf<DmaTransfer>()];
        Blittable.Write(head, header);
        Blittable.Write(head[MessageHeader.Length..], transfer);
        Send(head, source, default);
        return Finish(request, deadline, isOwner, destination);
    }

    /// <summary>Ends the session from any thread: all waits return.</summary>
    internal void Stop(string reason)
    {
        bool isAlone;
        using (_lock.Enter())
        {
            IsStopped = true;
            EndInside(reason);
            isAlone = _peerClosed && _transfers == 0;
        }

        // No thread waits in the socket when the client has closed it and no thread of the device is in here.
        if (!isAlone)
            _socket.Shutdown();
        Twin?.Stop();
    }

    /// <summary>Waits until no thread uses the channel any more; after <see cref="Stop"/>.</summary>
    internal void Leave()
    {
        using (_lock.Enter())
        {
            while (_receiving || _transfers > 0)
                _lock.Sleep(Deadline.Never);
        }

        Twin?.Dispose();
    }

    private Errno Begin(
        Command command, in DmaTransfer transfer, Deadline deadline, out DmaRequest? request, out MessageHeader header)
    {
        using ParkingLock.Scope inside = _lock.Enter();
        while (true)
        {
            header = default;
            request = null;
            if (EndReason is not null)
                return Errno.NotConnected;
            for (int i = 0; i < _requests.Length; i++)
            {
                DmaRequest place = _requests[i] ??= new DmaRequest(i);
                if (!place.IsFree)
                    continue;
                request = place;
                header = place.Begin(command, transfer);
                _transfers++;
                return Errno.None;
            }

            if (deadline.HasPassed)
                return Errno.TimedOut;
            _lock.Sleep(deadline);
        }
    }

    private Errno Finish(DmaRequest request, Deadline deadline, bool isOwner, Span<byte> destination)
    {
        using ParkingLock.Scope inside = _lock.Enter();
        Errno result = WaitForAnswer(request, deadline, isOwner);
        if (!request.IsAnswered)
        {
            request.Abandon();
        }
        else
        {
            result = request.Result;
            if (result == Errno.None)
                request.CopyTo(destination);
            request.Free();
        }

        _transfers--;
        _lock.WakeAll();
        return result;
    }

    private Errno WaitForAnswer(DmaRequest request, Deadline deadline, bool isOwner)
    {
        while (!request.IsAnswered)
        {
            if (EndReason is not null)
                return Errno.NotConnected;
            if (deadline.HasPassed)
                return Errno.TimedOut;
            if (_receiving)
                _lock.Sleep(deadline);
            else if (_in.HasRoom)
                Receive(deadline, handover: null);
            else if (isOwner)
                return Errno.NoBuffers;
            else
                _lock.Sleep(deadline);
        }

        return Errno.None;
    }

    /// <summary>Sends replies that are all bytes. Nearly always the client's queue has space for them, and nothing throws then.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void SendWhole(ReadOnlySpan<byte> bytes)
    {
        _sending.Take();
        int count = IsStopped ? bytes.Length : _socket.Send(bytes, wait: false, out _);
        if (count == bytes.Length)
            _sending.Leave();
        else
            SendRest(bytes[Math.Max(count, 0)..]);
    }

    private void SendRest(ReadOnlySpan<byte> bytes)
    {
        Errno error;
        try
        {
            error = _sender.Send(bytes, default, default);
        }
        finally
        {
            _sending.Leave();
        }

        CheckSent(error);
    }

    private void Send(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, ReadOnlySpan<FileDescriptor> descriptors)
    {
        Errno error;
        using (_sending.Enter())
            error = IsStopped ? Errno.None : _sender.Send(first, second, descriptors);
        CheckSent(error);
    }

    private void SendWithCompany(ReadOnlySpan<byte> waiting)
    {
        if (Replies.Tail is (SharedMemory memory, ulong offset, int length))
            SendTail(waiting, memory, offset, length);
        else
            Send(waiting, default, Replies.Descriptors);
    }

    private void SendTail(ReadOnlySpan<byte> first, SharedMemory memory, ulong offset, int length)
    {
        Errno error;
        using (_sending.Enter())
            error = IsStopped ? Errno.None : _sender.Send(first, memory, offset, length);
        CheckSent(error);
    }

    private void CheckSent(Errno error)
    {
        if (error != Errno.None)
            Stop(error == Errno.TimedOut ? "it did not read what it was sent" : $"sending failed: {VfioException.Describe(error)}");
    }

    /// <summary>Receives once. Called under the lock, which is released meanwhile.</summary>
    /// <remarks>After a sleep in the kernel the processor's return predictions are lost, so every call between
    /// a session and its system call costs: what is between them is inlined. It does not throw.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Receive(Deadline deadline, ISessionHandover? handover)
    {
        _receiving = true;
        _lock.Leave();
        int count = -1;
        Errno error = Errno.TryAgain;
        if (!_spinner.IsWorthIt || !ReceiveSpin.TryReceive(_spinner, _socket, _in, deadline, handover, out count, out error))
        {
            long begin = _spinner.BeginSleep();
            count = _in.ReceiveBytes(_socket, wait: deadline.IsNever && handover is not { IsAsked: true }, out error);
            if (count < 0 && error == Errno.TryAgain && (!deadline.IsNever || handover is not null))
                count = ReceiveUntil(deadline, handover, out error);
            if (count > 0)
                _spinner.EndSleep(begin);
        }

        _lock.Take();
        _receiving = false;
        Accept(count, error);
        _lock.WakeAll();
    }

    private int ReceiveUntil(Deadline deadline, ISessionHandover? handover, out Errno error)
    {
        error = Errno.TryAgain;
        return WaitReadable(deadline, handover) ? _in.ReceiveBytes(_socket, wait: false, out error) : -1;
    }

    private bool ReceiveWhileSending()
    {
        using ParkingLock.Scope inside = _lock.Enter();
        if (_receiving || !_in.HasRoom || EndReason is not null)
            return false;
        int count = _in.ReceiveBytes(_socket, wait: false, out Errno error);
        Accept(count, error);
        _lock.WakeAll();
        return count > 0;
    }

    private void Accept(int count, Errno error)
    {
        if (count > 0)
        {
            _in.Accept(count, error);
            Scan();
            NoteMessageEnd();
        }
        else if (count == 0)
        {
            _peerClosed = true;
            EndInside("it closed the connection");
        }
        else if (error != Errno.TryAgain)
        {
            EndInside(VfioException.Describe(error));
        }
    }

    private void NoteMessageEnd() =>
        _messageEnd = !_in.IsMidMessage ? Deadline.Never : _messageEnd.IsNever ? new Deadline(_options.MessageTimeout) : _messageEnd;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Scan()
    {
        while (_in.TryScan(out MessageHeader header, out ReadOnlySpan<byte> body))
        {
            if (header.Type == MessageFlags.Command)
                continue;
            bool expected = _requests[DmaRequest.PlaceOf(header.Id)] is { } request && request.Answer(header, body);
            _in.DropScanned(header);
            if (!expected)
            {
                EndInside($"a reply to no request: {header.Command}, id {header.Id}");
                return;
            }
        }

        if (_in.Broken is string broken)
            EndInside(broken);
    }

    private void EndInside(string reason)
    {
        EndReason ??= reason;
        _lock.WakeAll();
    }
}
