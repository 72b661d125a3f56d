using System.Net.Sockets;
using System.Text;

namespace Vfio.Tests.Guests;

/// <summary>A connection that QEMU makes to the test, and on which both send lines.</summary>
internal sealed class GuestLine : IDisposable
{
    private static readonly TimeSpan TestTimeout = HangGuard.Timeout;
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private NetworkStream? _stream;
    private StreamReader? _reader;

    /// <summary>Listens.</summary>
    public GuestLine(string path)
    {
        _listener.Bind(new UnixDomainSocketEndPoint(path));
        _listener.Listen();
    }

    /// <summary>Waits until QEMU has connected.</summary>
    public void Accept(Func<bool> isAlive)
    {
        Assert.True(SpinWait.SpinUntil(() => !isAlive() || _listener.Poll(TimeSpan.FromMilliseconds(10), SelectMode.SelectRead), TestTimeout));
        Assert.True(isAlive(), "QEMU ended before it connected");
        _stream = new NetworkStream(_listener.Accept(), ownsSocket: true) { ReadTimeout = (int)TestTimeout.TotalMilliseconds };
        _reader = new StreamReader(_stream, Encoding.Latin1);
    }

    /// <summary>Sends a line.</summary>
    public void Write(string line) => _stream!.Write(Encoding.Latin1.GetBytes(line + "\n"));

    /// <summary>Receives a line.</summary>
    public string Read()
    {
        try
        {
            return _reader!.ReadLine() ?? throw new EndOfStreamException("QEMU closed the connection");
        }
        catch (IOException error) when (error.InnerException is SocketException { SocketErrorCode: SocketError.TimedOut })
        {
            throw new TimeoutException($"nothing came for {TestTimeout.TotalSeconds} s", error);
        }
    }

    public void Dispose()
    {
        _reader?.Dispose();
        _stream?.Dispose();
        _listener.Dispose();
    }
}
