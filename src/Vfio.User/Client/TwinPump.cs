using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.Providers;
using Vfio.User.Captures;
using Vfio.User.Transport;
using Vfio.User.Wire;

namespace Vfio.User.Client;

/// <summary>A thread that answers the server's requests on the twin socket, independent of the client's calls.</summary>
/// <remarks>vfio-user, section "Socket". It starts with the first mapping and ends with the connection. When the server sends anything
/// but DMA requests, both sockets are shut down.</remarks>
internal sealed class TwinPump : IDisposable
{
    private readonly UnixSocket _socket;
    private readonly ClientChannel _channel;
    private readonly DmaMappings _mappings;
    private readonly VfioUserClientOptions _options;
    private BackgroundThread? _thread;
    private bool _isDisposed;

    /// <summary>Takes the socket; no thread yet.</summary>
    /// <param name="socket">The twin socket; owned.</param>
    /// <param name="channel">The connection; must outlive the thread.</param>
    /// <param name="mappings">The memory that the server may access.</param>
    /// <param name="options">Limits.</param>
    internal TwinPump(UnixSocket socket, ClientChannel channel, DmaMappings mappings, VfioUserClientOptions options)
    {
        _socket = socket;
        _channel = channel;
        _mappings = mappings;
        _options = options;
    }

    /// <summary>Starts the thread, if it is not running; with the client's lock held.</summary>
    internal void Start()
    {
        if (_thread is not null || _isDisposed)
            return;
        _thread = new BackgroundThread("vfio-user twin socket", Run);
    }

    /// <summary>Ends the thread; called from another one.</summary>
    public void Dispose()
    {
        if (_isDisposed)
            return;
        _isDisposed = true;
        _socket.Shutdown();
        _thread?.Join();
        _socket.Dispose();
    }

    private void Run()
    {
        DmaAnswers answers = new(_mappings, _options.MaxDataTransferBytes);
        CapturePoint? capture = _channel.Capture?.Twin();
        using MessageBuffer received = new(_options.MaxDataTransferBytes + Protocol.OverheadBytes) { Capture = capture };
        MessageSender sender = new(_socket, _options.Timeout, static () => false, capture);
        while (true)
        {
            received.Compact();
            int count = received.ReceiveBytes(_socket, wait: true, out Errno error);
            if (count <= 0)
                return;
            received.Accept(count, error);
            if (TryAnswerAll(received, answers, sender, out string? fault))
                continue;
            if (fault is null)
                _channel.Shutdown();
            else
                _channel.Shutdown($"on the twin socket {fault}");
            return;
        }
    }

    /// <param name="received">The bytes received.</param>
    /// <param name="answers">Makes the answers.</param>
    /// <param name="sender">Sends the answers.</param>
    /// <param name="fault">When it is over: what the server did wrong; null when it went away.</param>
    private static bool TryAnswerAll(MessageBuffer received, DmaAnswers answers, MessageSender sender, out string? fault)
    {
        fault = null;
        while (received.TryScan(out MessageHeader header, out ReadOnlySpan<byte> body))
        {
            received.TryTake(received.ScannedEnd, out _, out _, out int position);
            if (received.HoldsDescriptors)
                received.Claim(position, default, out _);
            if (header.Type != MessageFlags.Command)
                fault = $"it answered {header.Command}, id {header.Id}, which was not asked";
            else if (header.IsError)
                fault = DmaAnswers.FaultOf(header);
            if (fault is not null)
                return false;
            ReadOnlySpan<byte> answer = answers.Answer(header, body);
            Errno error = answer.Length > 0 ? sender.Send(answer, default, default) : Errno.None;
            if (error == Errno.TimedOut)
                fault = "it does not read answers";
            if (error != Errno.None)
                return false;
        }

        if (received.Broken is string broken)
            fault = $"it sent {broken}";
        return fault is null;
    }
}
