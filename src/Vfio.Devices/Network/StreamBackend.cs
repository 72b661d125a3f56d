using System.Buffers.Binary;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;

namespace Vfio.Devices.Network;

/// <summary>A UNIX stream socket: each frame follows its length, 4 bytes in network order. So does QEMU's <c>-netdev stream</c>.</summary>
/// <remarks>
/// <para>One peer at a time. There is a link while it is connected; one that left is waited for. A peer that announces a longer frame
/// than there can be is disconnected.</para>
/// <para>A peer that does not read costs a sender a few milliseconds once; then its frames are dropped until it reads. One that sends
/// more than the port takes waits.</para>
/// </remarks>
internal sealed class StreamBackend : NetBackend
{
    private const int LengthBytes = sizeof(uint), LongestAnnounced = 68 << 10, BufferBytes = 128 << 10;
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan SendTimeout = TimeSpan.FromMilliseconds(5);

    private readonly string _path;
    private readonly UnixListener? _listener;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _sending = new();
    private readonly byte[] _length = new byte[LengthBytes];

    // The rest of a frame that was sent in part: the peer must get it before anything else.
    private readonly byte[] _rest = new byte[LengthBytes + INetPort.LongestFrame];
    private int _restAt, _restCount;
    private bool _isStuck;
    private UnixSocket? _peer;
    private volatile bool _isUp;
    private BackgroundThread? _thread;

    /// <summary>Makes it; the socket is connected to, or listened at, from <see cref="NetBackend.Attach"/> on.</summary>
    /// <param name="path">The socket's file.</param>
    /// <param name="listens">Whether the peer connects.</param>
    /// <exception cref="VfioException">It cannot listen there, or it is no socket's path.</exception>
    internal StreamBackend(string path, bool listens)
    {
        _ = new UnixAddress(path);
        _path = path;
        _listener = listens ? UnixListener.Bind(path, SocketPlace.UserAndGroup) : null;
    }

    /// <inheritdoc/>
    internal override bool IsUp => _isUp;

    /// <inheritdoc/>
    internal override void Send(ReadOnlySpan<byte> frame)
    {
        lock (_sending)
        {
            if (_peer is not { } peer || !TrySendRest(peer))
                return;
            BinaryPrimitives.WriteUInt32BigEndian(_length, (uint)frame.Length);
            int sent = TrySend(peer, _length, frame);
            if (sent < 0 || sent == LengthBytes + frame.Length)
                return;
            _restAt = 0;
            _restCount = LengthBytes + frame.Length - sent;
            int ofLength = Math.Max(0, LengthBytes - sent);
            _length.AsSpan(LengthBytes - ofLength).CopyTo(_rest);
            frame[Math.Max(0, sent - LengthBytes)..].CopyTo(_rest.AsSpan(ofLength));
        }
    }

    /// <inheritdoc/>
    protected override void OnAttached() => _thread = new BackgroundThread("net stream", Run);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (!disposing)
            return;
        _stop.Cancel();
        lock (_sending)
            _peer?.Shutdown();
        _thread?.Join();
        _listener?.Dispose();
        _stop.Dispose();
    }

    private bool TrySendRest(UnixSocket peer)
    {
        if (_restCount == 0)
            return true;
        int sent = TrySend(peer, _rest.AsSpan(_restAt, _restCount), []);
        if (sent > 0)
        {
            _restAt += sent;
            _restCount -= sent;
        }

        return _restCount == 0;
    }

    // How many bytes the socket took; -1 for none. Waits for a slow peer once, and then not again until it has read.
    private int TrySend(UnixSocket peer, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second)
    {
        while (true)
        {
            int sent = peer.Send(first, second, default, wait: false, out Errno error);
            if (sent >= 0)
            {
                _isStuck = false;
                return sent;
            }

            if (error != Errno.TryAgain)
                peer.Shutdown();
            if (error != Errno.TryAgain || _isStuck)
                return -1;
            _isStuck = !Poll.WaitWritable(peer.Descriptor, SendTimeout);
            if (_isStuck)
                return -1;
        }
    }

    private void Run()
    {
        byte[] buffer = new byte[BufferBytes];
        while (!_stop.IsCancellationRequested)
        {
            using UnixSocket? peer = TryFindPeer();
            if (peer is null)
                continue;
            SetPeer(peer);
            Receive(peer, buffer);
            SetPeer(null);

            // A server that accepts and closes at once sets no pace.
            if (_listener is null)
                _stop.Token.WaitHandle.WaitOne(LookEvery);
        }
    }

    private UnixSocket? TryFindPeer()
    {
        try
        {
            if (_listener is not { } listener)
                return UnixSocket.Connect(_path, LookEvery, _stop.Token);
            return Poll.WaitReadable(listener.Descriptor, LookEvery) ? listener.TryAccept() : null;
        }
        catch (OperationCanceledException)
        {
            return null;
        }
        catch (VfioException)
        {
            // Nobody is there yet, or no descriptor is free.
            _stop.Token.WaitHandle.WaitOne(LookEvery);
            return null;
        }
    }

    private void SetPeer(UnixSocket? peer)
    {
        lock (_sending)
        {
            _peer = peer;
            _restCount = 0;
            _isStuck = false;
            if (_stop.IsCancellationRequested)
                peer?.Shutdown();
        }

        _isUp = peer is not null;
        Port?.LinkChanged();
    }

    private void Receive(UnixSocket peer, byte[] buffer)
    {
        int used = 0;
        while (!_stop.IsCancellationRequested)
        {
            if (!Poll.WaitReadable(peer.Descriptor, LookEvery))
                continue;
            int count = peer.Receive(buffer.AsSpan(used), descriptors: null, wait: false, out Errno error);
            if (count < 0 && error == Errno.TryAgain)
                continue;
            if (count <= 0)
                return;
            used += count;
            int taken = TakeFrames(peer, buffer.AsSpan(0, used));
            if (taken < 0)
                return;
            buffer.AsSpan(taken, used - taken).CopyTo(buffer);
            used -= taken;
        }
    }

    // How many bytes the whole frames at the start take; -1 when the peer breaks the rules, or left and there is no room.
    private int TakeFrames(UnixSocket peer, ReadOnlySpan<byte> bytes)
    {
        int at = 0;
        while (bytes.Length - at >= LengthBytes)
        {
            uint length = BinaryPrimitives.ReadUInt32BigEndian(bytes[at..]);
            if (length > LongestAnnounced)
                return -1;
            if (length > bytes.Length - at - LengthBytes)
                break;
            if (!TryDeliver(peer, bytes.Slice(at + LengthBytes, (int)length)))
                return -1;
            at += LengthBytes + (int)length;
        }

        return at;
    }

    // A driver that takes nothing must not keep the next peer out: what one that left has sent is given to the port while that takes some.
    private bool TryDeliver(UnixSocket peer, ReadOnlySpan<byte> frame)
    {
        while (!_stop.IsCancellationRequested && Port is { } port && !port.TryReceive(frame))
        {
            bool hadLeft = Poll.IsHungUp(peer.Descriptor);
            port.WaitForRoom(frame.Length, LookEvery);
            if (hadLeft)
                return port.TryReceive(frame);
        }

        return true;
    }
}
