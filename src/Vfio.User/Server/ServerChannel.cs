using Vfio.Native;

namespace Vfio.User;

/// <summary>A client's connection as its session sees it: commands in, replies out, and DMA requests to the client between them.</summary>
/// <remarks>
/// <para>The session's thread takes commands and writes replies. Any thread of the device may ask the client for memory, the
/// session's own too, in the middle of a command.</para>
/// <para>One socket carries both directions, and whoever waits for something receives: the thread that finds nobody receiving does it
/// and hands what it finds to the others; when it has what it waits for, the next one takes over. So an answer arrives even while the
/// session's thread waits inside a device for another thread that waits for that answer. Commands that arrive meanwhile stay in the
/// buffer until the session's thread comes back for them; when they fill it, the DMA request fails with ENOBUFS.</para>
/// <para>Locks: <c>_sending</c> may be held while <c>_gate</c> is taken, never the other way round. Neither is held while a thread
/// sleeps in the kernel for bytes to arrive.</para>
/// </remarks>
internal sealed partial class ServerChannel
{
    private readonly object _gate = new();
    private readonly object _sending = new();
    private readonly UnixSocket _socket;
    private readonly VfioUserServerOptions _options;
    private readonly MessageBuffer _in;
    private readonly MessageSender _sender;
    private readonly Spinner _spinner;
    private readonly DmaRequest?[] _requests = new DmaRequest?[DmaRequest.Places];
    private readonly HandoverPoint? _handover;
    private int _owner = Environment.CurrentManagedThreadId;
    private Deadline _messageEnd = Deadline.Never;
    private int _limit;
    private int _sleepers;
    private bool _receiving;
    private bool _peerClosed;
    private int _transfers;

    /// <summary>Makes the channel of a connection, for the thread that calls this.</summary>
    /// <param name="socket">The connection; lent.</param>
    /// <param name="buffers">Lent until the session ends.</param>
    /// <param name="options">Time limits.</param>
    /// <param name="handover">Where a successor may ask for the session; null for nowhere.</param>
    internal ServerChannel(UnixSocket socket, SessionBuffers buffers, VfioUserServerOptions options, HandoverPoint? handover)
    {
        _handover = handover;

        _socket = socket;
        _options = options;
        _in = buffers.Received;
        Replies = buffers.Replies;
        _sender = new MessageSender(socket, options.SendTimeout, ReceiveWhileSending);
        _spinner = new Spinner(options.SpinTime);
        if (handover is not null)
            socket.SetReceiveTimeout(LongestSleep);
    }

    /// <summary>The replies; the session's thread writes them.</summary>
    internal ReplyBuffer Replies { get; }

    /// <summary>The socket for this server's own commands, when the client agreed to one; owned.</summary>
    internal TwinChannel? Twin { get; set; }

    /// <summary>Whether nothing can be sent any more.</summary>
    internal bool IsStopped { get; private set; }

    /// <summary>Why the session is over; null while it is not.</summary>
    internal string? EndReason { get; private set; }

    /// <summary>Waits for commands of the client, or for a successor.</summary>
    /// <param name="deadline">When to give up.</param>
    /// <returns>False when none will come any more; <see cref="EndReason"/> says why.</returns>
    internal bool WaitForCommands(Deadline deadline)
    {
        lock (_gate)
        {
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
                    Sleep(next);
                }
                else
                {
                    _in.Compact();
                    Receive(next, forCommands: true);
                }

                if (!_in.HasMessage && next.HasPassed)
                    EndLocked(_in.IsMidMessage ? "it stopped in the middle of a message" : "it was silent for too long");
            }
        }
    }

    /// <summary>Hands out the next command that <see cref="WaitForCommands"/> found.</summary>
    internal bool TryTake(out MessageHeader header, out ReadOnlySpan<byte> body, out int position) =>
        _in.TryTake(_limit, out header, out body, out position);

    /// <summary>Takes the descriptors of the command just handed out.</summary>
    /// <param name="position">Which command.</param>
    /// <param name="into">Where they go; the caller owns them.</param>
    /// <param name="lost">Whether some are missing.</param>
    /// <returns>How many.</returns>
    internal int Claim(int position, Span<FileDescriptor?> into, out bool lost)
    {
        lost = false;
        // What belongs to a command that is whole arrived before it was, so no lock is needed to find that nothing did.
        if (!_in.HoldsDescriptors)
            return 0;
        lock (_gate)
            return _in.Claim(position, into, out lost);
    }

    /// <summary>Sends the replies that wait, and what goes with the last of them.</summary>
    internal void Flush()
    {
        ReadOnlySpan<byte> waiting = Replies.Waiting;
        if (waiting.Length == 0)
            return;
        if (Replies.Tail is (SharedMemory memory, ulong offset, int length))
            SendTail(waiting, memory, offset, length);
        else if (Replies.Descriptors is FileDescriptor[] descriptors)
            Send(waiting, default, descriptors);
        else
            Send(waiting, default, default);
        Replies.Sent();
    }

    /// <summary>Asks the client to read or write its memory, and waits for the answer.</summary>
    /// <param name="command"><see cref="Command.DmaRead"/> or <see cref="Command.DmaWrite"/>.</param>
    /// <param name="transfer">Which memory; no more than the client takes in one message.</param>
    /// <param name="source">For a write: the bytes.</param>
    /// <param name="destination">For a read: where they go.</param>
    /// <returns>What the client answered, or why it did not.</returns>
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

    /// <summary>Ends the session from any thread: whoever waits returns.</summary>
    internal void Stop(string reason)
    {
        bool isAlone;
        lock (_gate)
        {
            IsStopped = true;
            EndLocked(reason);
            isAlone = _peerClosed && _transfers == 0;
        }

        // Nobody waits in the socket when the peer has closed it and no thread of the device is in here.
        if (!isAlone)
            _socket.Shutdown();
        Twin?.Stop();
    }

    /// <summary>Waits until no thread is in here any more; after <see cref="Stop"/>.</summary>
    internal void Leave()
    {
        lock (_gate)
        {
            while (_receiving || _transfers > 0)
                Sleep(Deadline.Never);
        }

        Twin?.Dispose();
    }

    private Errno Begin(
        Command command, in DmaTransfer transfer, Deadline deadline, out DmaRequest? request, out MessageHeader header)
    {
        lock (_gate)
        {
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
                Sleep(deadline);
            }
        }
    }

    private Errno Finish(DmaRequest request, Deadline deadline, bool isOwner, Span<byte> destination)
    {
        lock (_gate)
        {
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
            WakeOthers();
            return result;
        }
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
                Sleep(deadline);
            else if (_in.HasRoom)
                Receive(deadline, forCommands: false);
            else if (isOwner)
                return Errno.NoBuffers;
            else
                Sleep(deadline);
        }

        return Errno.None;
    }

    private void Send(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, ReadOnlySpan<FileDescriptor> descriptors)
    {
        Errno error;
        lock (_sending)
            error = IsStopped ? Errno.None : _sender.Send(first, second, descriptors);
        CheckSent(error);
    }

    private void SendTail(ReadOnlySpan<byte> first, SharedMemory memory, ulong offset, int length)
    {
        Errno error;
        lock (_sending)
            error = IsStopped ? Errno.None : _sender.Send(first, memory, offset, length);
        CheckSent(error);
    }

    private void CheckSent(Errno error)
    {
        if (error != Errno.None)
            Stop(error == Errno.TimedOut ? "it did not read what it was sent" : $"sending failed: {VfioException.Describe(error)}");
    }

    /// <summary>Receives once, with the gate open meanwhile; held on entry and exit.</summary>
    private void Receive(Deadline deadline, bool forCommands)
    {
        int count;
        Errno error;
        _receiving = true;
        Monitor.Exit(_gate);
        try
        {
            count = WaitAndReceive(deadline, forCommands ? _handover : null, out error);
        }
        finally
        {
            Monitor.Enter(_gate);
            _receiving = false;
        }

        Accept(count, error);
        WakeOthers();
    }

    /// <summary>The one place where a session waits for bytes: it looks for a while where that is worth it, and sleeps then.</summary>
    private int WaitAndReceive(Deadline deadline, HandoverPoint? handover, out Errno error)
    {
        if (_spinner.TryReceive(_socket, _in, deadline, handover, out int count, out error) || handover is { IsAsked: true })
            return count;
        long begin = _spinner.BeginSleep();
        count = _in.ReceiveBytes(_socket, wait: deadline.IsNever, out error);
        if (count < 0 && error == Errno.TryAgain && WaitReadable(deadline, handover))
            count = _in.ReceiveBytes(_socket, wait: false, out error);
        if (count > 0)
            _spinner.EndSleep(begin);
        return count;
    }

    private bool ReceiveWhileSending()
    {
        lock (_gate)
        {
            if (_receiving || !_in.HasRoom || EndReason is not null)
                return false;
            int count = _in.ReceiveBytes(_socket, wait: false, out Errno error);
            Accept(count, error);
            WakeOthers();
            return count > 0;
        }
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
            EndLocked("it closed the connection");
        }
        else if (error != Errno.TryAgain)
        {
            EndLocked(VfioException.Describe(error));
        }
    }

    private void NoteMessageEnd() =>
        _messageEnd = !_in.IsMidMessage ? Deadline.Never : _messageEnd.IsNever ? new Deadline(_options.MessageTimeout) : _messageEnd;

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
                EndLocked($"a reply to no request: {header.Command}, id {header.Id}");
                return;
            }
        }

        if (_in.Broken is string broken)
            EndLocked(broken);
    }

    private void EndLocked(string reason)
    {
        EndReason ??= reason;
        WakeOthers();
    }

    private void Sleep(Deadline deadline)
    {
        _sleepers++;
        Monitor.Wait(_gate, deadline.Left);
        _sleepers--;
    }

    private void WakeOthers()
    {
        if (_sleepers > 0)
            Monitor.PulseAll(_gate);
    }
}
