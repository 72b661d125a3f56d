using Vfio.Native.Sockets;
using Vfio.Native.Waiting;

namespace Vfio.Devices.Network;

/// <summary>Two UNIX datagram sockets, one datagram a frame, as of QEMU's <c>-netdev dgram</c>.</summary>
/// <remarks>There is a link while the peer's socket is there. Frames that a peer does not read are dropped.</remarks>
internal sealed class DatagramBackend : NetBackend
{
    private const int BufferBytes = 68 << 10;
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(100);
    private readonly UnixDatagramSocket _socket;
    private readonly string _remote;
    private readonly ManualResetEventSlim _stop = new();
    private volatile bool _isUp;
    private BackgroundThread? _thread;

    /// <summary>Makes the socket.</summary>
    /// <param name="local">Its file, removed at the end. One that a process left behind is replaced.</param>
    /// <param name="remote">The peer's file, which may come later.</param>
    /// <exception cref="VfioException">The file cannot be made, or the peer's is no socket's path.</exception>
    internal DatagramBackend(string local, string remote)
    {
        _ = new UnixAddress(remote);
        _socket = UnixDatagramSocket.Bind(local, SocketPlace.UserAndGroup);
        _remote = remote;
    }

    /// <inheritdoc/>
    internal override bool IsUp => _isUp;

    /// <inheritdoc/>
    internal override void Send(ReadOnlySpan<byte> frame)
    {
        if (_isUp && _socket.Send(frame) is not (Errno.None or Errno.TryAgain or Errno.Interrupted or Errno.NoBuffers))
            SetUp(false);
    }

    /// <inheritdoc/>
    protected override void OnAttached() => _thread = new BackgroundThread("net dgram", Run);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (!disposing)
            return;
        _stop.Set();
        _thread?.Join();
        _socket.Dispose();
        _stop.Dispose();
    }

    private void Run()
    {
        byte[] buffer = new byte[BufferBytes];
        while (!_stop.IsSet)
        {
            if (!_isUp)
                SetUp(_socket.TryConnect(_remote));
            if (!Poll.WaitReadable(_socket.Descriptor, LookEvery))
                continue;
            int count = _socket.Receive(buffer, out Errno error);
            if (count >= 0)
                Deliver(buffer.AsSpan(0, count));
            else if (error is not (Errno.TryAgain or Errno.Interrupted))
                SetUp(false);
        }
    }

    private void SetUp(bool isUp)
    {
        if (_isUp == isUp)
            return;
        _isUp = isUp;
        Port?.LinkChanged();
    }

    private void Deliver(ReadOnlySpan<byte> frame)
    {
        while (!_stop.IsSet && Port is { } port && !port.TryReceive(frame))
            port.WaitForRoom(frame.Length, LookEvery);
    }
}
