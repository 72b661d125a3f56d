using System.Buffers.Binary;
using System.Net.Sockets;
using Vfio.Drivers.Ethernet;

namespace Vfio.Tests.Guests;

/// <summary>A network cable whose one end is in this process and whose other end is a card of a guest's.</summary>
/// <remarks>QEMU's <c>-netdev stream</c>: each frame after its length, 4 bytes in network order.</remarks>
internal sealed class GuestWire : IDisposable
{
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("vfio-wire-");
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly Lazy<NetworkStream> _stream;

    internal GuestWire()
    {
        _listener.Bind(new UnixDomainSocketEndPoint(Path));
        _listener.Listen();
        _stream = new Lazy<NetworkStream>(Accept);
    }

    /// <summary>QEMU's argument after <c>-netdev</c>, for a card with <c>netdev=wire</c>.</summary>
    internal string Netdev => $"stream,id=wire,server=off,addr.type=unix,addr.path={Path}";

    private string Path => System.IO.Path.Combine(_folder.FullName, "s");

    /// <summary>Sends a frame.</summary>
    internal void Send(ReadOnlySpan<byte> frame)
    {
        Span<byte> length = stackalloc byte[4];
        BinaryPrimitives.WriteInt32BigEndian(length, frame.Length);
        _stream.Value.Write(length);
        _stream.Value.Write(frame);
    }

    /// <summary>Waits for the next frame.</summary>
    internal byte[] Receive()
    {
        byte[] length = new byte[4];
        _stream.Value.ReadExactly(length);
        byte[] frame = new byte[BinaryPrimitives.ReadInt32BigEndian(length)];
        _stream.Value.ReadExactly(frame);
        return frame;
    }

    /// <summary>Waits for the next frame to a station, past those to others.</summary>
    internal byte[] Receive(MacAddress station)
    {
        byte[] frame;
        do
            frame = Receive();
        while (MacAddress.Read(frame) != station);
        return frame;
    }

    /// <summary>Takes the next frame where one has come.</summary>
    internal byte[]? TryReceive() => _stream.Value.DataAvailable ? Receive() : null;

    public void Dispose()
    {
        if (_stream.IsValueCreated)
            _stream.Value.Dispose();
        _listener.Dispose();
        _folder.Delete(recursive: true);
    }

    private NetworkStream Accept()
    {
        Assert.True(_listener.Poll(TestTimeout, SelectMode.SelectRead), "QEMU does not connect");
        return new NetworkStream(_listener.Accept(), ownsSocket: true) { ReadTimeout = (int)TestTimeout.TotalMilliseconds };
    }
}
