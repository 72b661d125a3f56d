using System.Net.Sockets;

namespace Vfio.Devices.Network;

/// <summary>Two UNIX datagram sockets, one datagram a frame, as of QEMU's <c>-netdev dgram</c>.</summary>
/// <remarks>There is a link while the peer's socket is there. Frames that a peer does not read are dropped.</remarks>
internal sealed class DatagramBackend : NetBackend
{
    private const int BufferBytes = 68 << 10;
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(100);
    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
    private readonly UnixDomainSocketEndPoint _remote;
    private readonly string _local;
    private readonly ManualResetEventSlim _stop = new();
    private volatile bool _isUp;
    private Native.Waiting.BackgroundThread? _thread;

    /// <summary>Makes the socket.</summary>
    /// <param name="local">Its file, which must not be there yet; removed at the end.</param>
    /// <param name="remote">The peer's file, which may come later.</param>
    /// <exception cref="VfioException">The file cannot be made.</exception>
    internal DatagramBackend(string local, string remote)
    {
        _local = local;
        try
        {
            _remote = new UnixDomainSocketEndPoint(remote);
            _socket.Bind(new UnixDomainSocketEndPoint(local));
            _socket.Blocking = false;
        }
        catch (Exception refusal) when (refusal is SocketException or ArgumentException)
        {
            _socket.Dispose();
            Errno error = refusal is SocketException { SocketErrorCode: SocketError.AddressAlreadyInUse } ? Errno.AddressInUse : Errno.InvalidArgument;
            throw new VfioException("bind", local, error, "give the path of a file that is not there yet, in a folder that is");
        }
    }

    /// <inheritdoc/>
    internal override bool IsUp => _isUp;

    /// <inheritdoc/>
    internal override void Send(ReadOnlySpan<byte> frame)
    {
        if (!_isUp || _stop.IsSet)
            return;
        _socket.Send(frame, SocketFlags.None, out SocketError error);
        if (error is SocketError.ConnectionRefused or SocketError.NotConnected or SocketError.ConnectionReset)
            SetUp(false);
    }

    /// <inheritdoc/>
    protected override void OnAttached() => _thread = new Native.Waiting.BackgroundThread("net dgram", Run);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (!disposing)
            return;
        _stop.Set();
        _thread?.Join();
        _socket.Dispose();
        File.Delete(_local);
        _stop.Dispose();
    }

    private void Run()
    {
        byte[] buffer = new byte[BufferBytes];
        while (!_stop.IsSet)
        {
            if (!_isUp)
                TryConnect();
            if (!_socket.Poll(LookEvery, SelectMode.SelectRead))
                continue;
            int count = _socket.Receive(buffer, SocketFlags.None, out SocketError error);
            if (error == SocketError.Success)
                Deliver(buffer.AsSpan(0, count));
            else if (error is SocketError.ConnectionRefused or SocketError.ConnectionReset)
                SetUp(false);
        }
    }

    private void TryConnect()
    {
        try
        {
            _socket.Connect(_remote);
            SetUp(true);
        }
        catch (SocketException)
        {
            // The peer is not there yet.
            _stop.Wait(LookEvery);
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
