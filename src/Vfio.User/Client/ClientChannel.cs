using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.Providers;
using Vfio.User.Captures;
using Vfio.User.Transport;
using Vfio.User.Wire;

namespace Vfio.User.Client;

/// <summary>A client's connection to its server: sends a request, receives its reply, and answers the server's DMA requests in
/// between.</summary>
/// <remarks>Guarded by the client's lock: one request at a time. Once the stream is broken every request fails at once, with the
/// reason of the first failure.</remarks>
internal sealed class ClientChannel : IDisposable
{
    private readonly UnixSocket _socket;
    private readonly string _name;
    private readonly TimeSpan _timeout;
    private readonly MessageBuffer _in;
    private readonly MessageSender _sender;
    private readonly Spinner _spinner;
    private readonly FileDescriptor?[] _descriptors = new FileDescriptor?[UnixSocket.MaxDescriptors];
    private readonly DmaAnswers _answers;
    private ushort _id;
    private Command _asked;
    private Deadline _handshake;
    private Deadline _deadline;
    private string? _broken;
    private volatile string? _foul;
    private Errno _brokenErrno;
    private bool _isBusy;

    /// <summary>Makes the channel of a connection.</summary>
    /// <param name="socket">The connection; owned.</param>
    /// <param name="name">The server's address, for messages.</param>
    /// <param name="mappings">The memory that the server may access.</param>
    /// <param name="options">Limits.</param>
    /// <param name="handshake">The deadline of all requests until <see cref="EndHandshake"/>.</param>
    internal ClientChannel(
        UnixSocket socket, string name, DmaMappings mappings, VfioUserClientOptions options, Deadline handshake)
    {
        _socket = socket;
        _name = name;
        _timeout = options.Timeout;
        int maxMessageBytes = options.MaxDataTransferBytes + Protocol.OverheadBytes;
        _in = new MessageBuffer(maxMessageBytes);
        _answers = new DmaAnswers(mappings, options.MaxDataTransferBytes);
        _in.Capture = Capture = options.Capture?.Begin(isServer: false);
        _sender = new MessageSender(socket, Timeout.InfiniteTimeSpan, ReceiveWhileSending, Capture);
        _spinner = new Spinner(options.SpinTime);
        _handshake = handshake;
        if (_timeout >= TimeSpan.Zero)
            socket.SetReceiveTimeout(_timeout);
    }

    /// <summary>Where the session is captured; null for nowhere.</summary>
    internal CapturePoint? Capture { get; }

    /// <summary>The connection's descriptor, to wait on.</summary>
    internal FileDescriptor Descriptor => _socket.Descriptor;

    /// <summary>Whether the connection is broken, and every request fails.</summary>
    internal bool IsBroken => _broken is not null;

    /// <summary>Whether the server went away, rather than broke the protocol.</summary>
    internal bool IsLost => _broken is not null && _brokenErrno == Errno.ConnectionReset;

    /// <summary>Sends a command and waits for its reply.</summary>
    /// <param name="command">The command.</param>
    /// <param name="head">The first part of the body.</param>
    /// <param name="data">The rest of the body.</param>
    /// <param name="descriptors">Passed with it; the caller keeps it.</param>
    /// <param name="reply">The body of the reply; valid until the next request.</param>
    /// <returns>The server's errno, or <see cref="Errno.None"/>.</returns>
    /// <exception cref="VfioException">The connection is broken.</exception>
    internal Errno Request(
        Command command,
        scoped ReadOnlySpan<byte> head,
        scoped ReadOnlySpan<byte> data,
        scoped ReadOnlySpan<FileDescriptor> descriptors,
        out ReadOnlySpan<byte> reply) => Request(command, head, data, descriptors, null, out reply);

    /// <summary>As the other, and takes the descriptors that come with the reply.</summary>
    /// <param name="command">The command.</param>
    /// <param name="head">The first part of the body.</param>
    /// <param name="data">The rest of the body.</param>
    /// <param name="descriptors">Passed with it; the caller keeps it.</param>
    /// <param name="kept">Receives the descriptors of the reply; null closes them.</param>
    /// <param name="reply">The body of the reply; valid until the next request.</param>
    /// <returns>The server's errno, or <see cref="Errno.None"/>.</returns>
    /// <exception cref="VfioException">The connection is broken.</exception>
    internal Errno Request(
        Command command,
        scoped ReadOnlySpan<byte> head,
        scoped ReadOnlySpan<byte> data,
        scoped ReadOnlySpan<FileDescriptor> descriptors,
        DescriptorQueue? kept,
        out ReadOnlySpan<byte> reply)
    {
        using RequestScope request = Enter(command);
        ushort id = ++_id;
        _in.Compact();
        Send(MessageHeader.ForCommand(id, command, head.Length + data.Length), head, data, descriptors);
        MessageHeader header = Await(kept, out reply);
        if (header.Id != id || header.Command != command)
            throw Break(Errno.Protocol, $"it answered {header.Command}, id {header.Id}, where {command}, id {id}, was asked");
        return header.IsError ? ErrnoOf(header) : Errno.None;
    }

    /// <summary>Reserves ids for requests that the caller writes.</summary>
    /// <returns>The first of them; the others follow, with 0 after the highest.</returns>
    internal ushort TakeIds(int count)
    {
        ushort first = unchecked((ushort)(_id + 1));
        _id = unchecked((ushort)(_id + count));
        return first;
    }

    /// <summary>Sends whole requests; the caller takes their replies before it disposes the result.</summary>
    /// <exception cref="VfioException">The connection is broken.</exception>
    internal RequestScope Begin(Command command, ReadOnlySpan<byte> requests)
    {
        RequestScope request = Enter(command);
        _in.Compact();
        SendAll(requests, default, default);
        return request;
    }

    /// <summary>Waits for the next of several replies, each with the whole timeout, and answers the server's requests meanwhile.</summary>
    /// <param name="body">What follows its header; valid until the next call.</param>
    /// <exception cref="VfioException">The connection is broken.</exception>
    internal MessageHeader WaitForReply(out ReadOnlySpan<byte> body)
    {
        RestartClock();
        return Await(null, out body);
    }

    /// <summary>The errno of a server's refusal.</summary>
    internal static Errno ErrnoOf(in MessageHeader reply) => reply.Error is 0 or > 4095 ? Errno.InputOutput : (Errno)reply.Error;

    /// <summary>Sends a command that the server does not answer.</summary>
    /// <exception cref="VfioException">The connection is broken.</exception>
    internal void Post(Command command, ReadOnlySpan<byte> head, ReadOnlySpan<byte> data)
    {
        using RequestScope request = Enter(command);
        Send(MessageHeader.ForCommand(++_id, command, head.Length + data.Length, MessageFlags.NoReply), head, data, default);
    }

    /// <summary>Answers the requests that the server has sent; does not wait.</summary>
    /// <exception cref="VfioException">The connection is broken.</exception>
    internal void AnswerWaiting()
    {
        using RequestScope request = Enter(Command.DmaRead);
        Accept(_in.ReceiveBytes(_socket, wait: false, out Errno error), error);
        while (_in.TryScan(out MessageHeader header, out ReadOnlySpan<byte> body))
        {
            _in.TryTake(_in.ScannedEnd, out _, out _, out int position);
            TakeDescriptors(position, null);
            if (header.Type != MessageFlags.Command)
                throw Break(Errno.Protocol, $"it answered {header.Command}, id {header.Id}, which was not asked");
            AnswerServer(header, body);
            ThrowIfLate();
        }

        if (_in.Broken is string broken)
            throw Break(Errno.Protocol, $"it sent {broken}");
        _in.Compact();
    }

    /// <summary>Breaks the connection for a reason that the caller found.</summary>
    /// <returns>The exception to throw.</returns>
    internal VfioException Break(Errno errno, string reason)
    {
        if (_broken is null)
        {
            _broken = reason;
            _brokenErrno = errno;
            _socket.Shutdown();
        }

        return new VfioException("the connection", _name, errno, reason);
    }

    /// <summary>Ends the handshake's deadline: from now on only the options limit how long the server may take for one request: to read it,
    /// and to answer it to the last byte.</summary>
    internal void EndHandshake() => _handshake = Deadline.Never;

    /// <summary>Records that the connection is closed.</summary>
    internal void NoteClosed() => _ = Lost(Errno.ConnectionReset, "it closed the connection");

    /// <summary>Makes a request that is under way in another thread fail; from any thread.</summary>
    internal void Shutdown() => _socket.Shutdown();

    /// <summary>As the other, because the server broke the protocol on another socket: this connection then fails with EPROTO.</summary>
    /// <param name="reason">What the server did.</param>
    internal void Shutdown(string reason)
    {
        _foul = reason;
        _socket.Shutdown();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _socket.Dispose();
        _in.Dispose();
    }

    private MessageHeader Await(DescriptorQueue? kept, out ReadOnlySpan<byte> body)
    {
        for (bool isFirst = true; ; isFirst = false)
        {
            while (_in.TryScan(out MessageHeader header, out body))
            {
                _in.TryTake(_in.ScannedEnd, out _, out _, out int position);
                bool isReply = header.Type != MessageFlags.Command;
                TakeDescriptors(position, isReply ? kept : null);
                if (isReply)
                    return header;

                // No command of a client is one of a server: this is the expected reply, and its type is wrong.
                if (header.Command == _asked)
                    throw Break(Errno.Protocol, $"it sent {header.Command}, id {header.Id}, as a command where the reply was due");
                AnswerServer(header, body);
                ThrowIfLate();
            }

            if (_in.Broken is string broken)
                throw Break(Errno.Protocol, $"it sent {broken}");
            ThrowIfLate();
            _in.Compact();
            Accept(WaitAndReceive(isFirst && _handshake.IsNever, out Errno error), error);
        }
    }

    private void RestartClock()
    {
        _deadline = Deadline.Earlier(new Deadline(_timeout), _handshake);
        _sender.Limit = _deadline;
    }

    private void ThrowIfLate()
    {
        if (_deadline.HasPassed)
            throw Break(Errno.TimedOut, NoAnswer);
    }

    /// <summary>The reason of a timeout, and what to do.</summary>
    private string NoAnswer => _handshake.IsNever
        ? $"it did not answer within {_timeout.TotalSeconds:0.###} s: it is stuck or slow; give it a longer timeout if it is slow"
        : "it takes connections and does not answer: it is busy with another client, or stuck; wait for that client, or give it a longer timeout";

    private RequestScope Enter(Command command)
    {
        if (_broken is not null)
            throw new VfioException(command.ToString(), _name, _brokenErrno, $"the connection broke earlier: {_broken}");
        if (_isBusy)
            throw new InvalidOperationException($"{command} from within the memory that {_name} is reading or writing");
        _isBusy = true;
        _asked = command;
        RestartClock();
        return new RequestScope(this);
    }

    private void Send(in MessageHeader header, ReadOnlySpan<byte> head, ReadOnlySpan<byte> data, ReadOnlySpan<FileDescriptor> descriptors)
    {
        Span<byte> first = stackalloc byte[MessageHeader.Length + head.Length];
        Blittable.Write(first, header);
        head.CopyTo(first[MessageHeader.Length..]);
        SendAll(first, data, descriptors);
    }

    private void SendAll(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, ReadOnlySpan<FileDescriptor> descriptors)
    {
        Errno error = _sender.Send(first, second, descriptors);
        if (error == Errno.TimedOut)
            throw Break(error, "it does not read what it is sent: it is stuck, or busy with another client");
        if (error != Errno.None)
            throw Lost(error == Errno.BrokenPipe ? Errno.ConnectionReset : error, "it went away");
    }

    /// <summary>Polls where that is worth it, then sleeps, at most until the deadline.</summary>
    /// <param name="isWhole">Whether the whole timeout is left, which then is the socket's receive timeout.</param>
    /// <param name="error">As <see cref="UnixSocket.Receive"/>.</param>
    private int WaitAndReceive(bool isWhole, out Errno error)
    {
        if (_spinner.IsWorthIt && ReceiveSpin.TryReceive(_spinner, _socket, _in, _deadline, request: null, out int count, out error))
            return count;
        long begin = _spinner.BeginSleep();
        if (!isWhole)
            Poll.WaitReadable(_socket.Descriptor, _deadline.Left);
        count = _in.ReceiveBytes(_socket, wait: isWhole, out error);
        if (count > 0)
            _spinner.EndSleep(begin);
        return count;
    }

    private void Accept(int count, Errno error)
    {
        if (count > 0)
            _in.Accept(count, error);
        else if (count == 0)
            throw Lost(Errno.ConnectionReset, "it closed the connection");
        else if (error != Errno.TryAgain)
            throw Lost(error, "receiving failed");
    }

    /// <summary>Breaks a connection that ended; the reason is what the server did wrong on the twin socket, if it did.</summary>
    private VfioException Lost(Errno errno, string reason) =>
        _foul is string foul ? Break(Errno.Protocol, foul) : Break(errno, reason);

    private bool ReceiveWhileSending()
    {
        if (!_in.HasRoom)
            return false;
        int count = _in.ReceiveBytes(_socket, wait: false, out Errno error);
        if (count > 0)
            _in.Accept(count, error);
        return count > 0;
    }

    private void TakeDescriptors(int position, DescriptorQueue? kept)
    {
        if (!_in.HoldsDescriptors)
            return;
        int count = _in.Claim(position, _descriptors, out _);
        for (int i = 0; i < count; i++)
        {
            if (kept is null)
                _descriptors[i]!.Dispose();
            else
                kept.Add(_descriptors[i]!);
        }

        _descriptors.AsSpan(0, count).Clear();
    }

    private void AnswerServer(in MessageHeader header, ReadOnlySpan<byte> body)
    {
        if (header.IsError)
            throw Break(Errno.Protocol, DmaAnswers.FaultOf(header));
        ReadOnlySpan<byte> answer = _answers.Answer(header, body);
        if (answer.Length > 0)
            SendAll(answer, default, default);
    }

    /// <summary>The deadline of a request and its reply.</summary>
    internal readonly ref struct RequestScope(ClientChannel channel)
    {
        public void Dispose() => channel._isBusy = false;
    }
}
