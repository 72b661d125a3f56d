using Vfio.Broker.Leases;
using Vfio.Native;
using Vfio.Native.Waiting;
using Vfio.User.Leases;

namespace Vfio.Broker.Control;

/// <summary>A process that is connected to the broker: asks, one request at a time, and is answered.</summary>
/// <remarks>What it sends is received by the thread of the broker's event loop; any thread answers. Nothing here waits for it.</remarks>
internal sealed class ControlConnection : IRequester
{
    private readonly LineSocket _lines;
    private readonly Action<ControlConnection, BrokerRequest> _handle;
    private readonly Action<ControlConnection> _closed;
    private readonly Lock _sending = new();
    private readonly TimeSpan _timeout;
    private EventRegistration? _registration;
    private Deadline _deadline;
    private Lease? _lease;
    private bool _isAsking;
    private bool _isClosed;

    /// <summary>Makes one; it receives from <see cref="Watch"/> on.</summary>
    /// <param name="lines">The connection; owned.</param>
    /// <param name="caller">Who is at its other end.</param>
    /// <param name="timeout">How long it may send no request, unless a lease depends on it.</param>
    /// <param name="handle">Called with each request, which is to be answered once.</param>
    /// <param name="closed">Called once, when it is closed.</param>
    internal ControlConnection(
        LineSocket lines, Caller caller, TimeSpan timeout, Action<ControlConnection, BrokerRequest> handle, Action<ControlConnection> closed)
    {
        _lines = lines;
        Caller = caller;
        _timeout = timeout;
        _handle = handle;
        _closed = closed;
        _deadline = new Deadline(timeout);
    }

    /// <inheritdoc/>
    public Caller Caller { get; }

    /// <summary>The lease that ends with it; null for none.</summary>
    internal Lease? Lease
    {
        get
        {
            lock (_sending)
                return _lease;
        }

        init => _lease = value;
    }

    /// <inheritdoc/>
    public FileDescriptor? Descriptor => _lines.Socket.Descriptor;

    /// <inheritdoc/>
    public void Depart()
    {
        // Nothing is being received any more, for what is received here the other broker does not get.
        _registration?.Dispose();
        lock (_sending)
            _lease = null;
        Close();
    }

    /// <summary>Whether it was silent for too long.</summary>
    internal bool IsOverTime
    {
        get
        {
            lock (_sending)
                return !_isAsking && _lease is null && _deadline.HasPassed;
        }
    }

    /// <inheritdoc/>
    public bool TryAnswer(BrokerReply reply, FileDescriptor? descriptor = null, Lease? lease = null)
    {
        byte[] line = BrokerJson.Line(reply);
        lock (_sending)
        {
            if (_isClosed)
                return false;
            if (reply.Event is null)
            {
                _isAsking = false;
                _deadline = new Deadline(_timeout);
            }

            _lease = reply.Event == BrokerEvents.Ended ? null : lease ?? _lease;
            if (_lines.TrySend(line, descriptor))
                return true;
            _lines.Socket.Shutdown();
            return false;
        }
    }

    /// <summary>Starts to receive.</summary>
    internal void Watch(EventLoop loop) => _registration = loop.Add(_lines.Socket.Descriptor, _ => Receive());

    /// <summary>Ends it; any thread may call it. The loop's thread closes it.</summary>
    internal void Shutdown()
    {
        lock (_sending)
        {
            if (!_isClosed)
                _lines.Socket.Shutdown();
        }
    }

    /// <summary>Closes it. By the loop's thread, when the loop has ended, or when nothing is received any more.</summary>
    internal void Close()
    {
        lock (_sending)
        {
            if (_isClosed)
                return;
            _isClosed = true;
            _registration?.Cancel();
            _lines.Dispose();
        }

        _closed(this);
    }

    /// <summary>Takes the descriptor that came with the request; the caller owns it. Null for none. While the request is handled.</summary>
    internal FileDescriptor? TakeDescriptor() => _lines.TakeDescriptor();

    // One line at a time, so that a peer who sends without an end keeps no other waiting.
    private void Receive()
    {
        // A socket to listen on comes with the lease that it is for, and no other descriptor at all.
        _lines.TakesDescriptors = Lease is not null;
        LineState state = _lines.TryReceive(out ReadOnlySpan<byte> line);
        if (state == LineState.Whole && !_lines.HasMore && TryBegin() && BrokerJson.ReadRequest(line) is { } request)
            _handle(this, request);
        else if (state != LineState.Partial)
            Refuse(state);
        _lines.DropDescriptors();
    }

    private bool TryBegin()
    {
        lock (_sending)
        {
            bool isFree = !_isAsking;
            _isAsking = true;
            return isFree;
        }
    }

    private void Refuse(LineState state)
    {
        // Two requests at once, a line without an end, or no request: what follows cannot be understood either.
        if (state != LineState.Closed)
            TryAnswer(new BrokerReply { Errno = (int)Errno.Protocol, Reason = "that is no request; one at a time, each a line of JSON" });
        Close();
    }
}
