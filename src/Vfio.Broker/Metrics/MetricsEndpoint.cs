using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging;
using Vfio.Native.Waiting;
using Vfio.User;

namespace Vfio.Broker.Metrics;

/// <summary>Answers GET /metrics over HTTP with the metrics of this process, for Prometheus and who reads its format.</summary>
/// <remarks>A few lines in place of a web server, which would start with the command. A peer has <see cref="Timeout"/> for one request of at most
/// <see cref="MaxRequestBytes"/>, and so many at a time are heard.</remarks>
internal sealed class MetricsEndpoint : IDisposable
{
    /// <summary>Bytes of the longest request.</summary>
    internal const int MaxRequestBytes = 4096;

    private const int MaxConnections = 8;
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(2), Pause = TimeSpan.FromMilliseconds(100);
    private readonly TcpListener _listener;
    private readonly MeterValues _values = new(BrokerTelemetry.Name, ServerTelemetry.Name);
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _free = new(MaxConnections);
    private readonly Task _serving;

    /// <summary>Listens.</summary>
    /// <param name="place">Where; port 0 for any free one.</param>
    /// <param name="addressTimeout">How long another program may still listen there: the broker that this one takes over from has its own until it
    /// ends.</param>
    /// <param name="logger">Told when that was too long.</param>
    /// <exception cref="VfioException">EADDRINUSE: another program listens there; or why else not.</exception>
    internal MetricsEndpoint(IPEndPoint place, TimeSpan addressTimeout, ILogger logger)
    {
        _listener = new TcpListener(place);
        Place = place;
        try
        {
            Listen();
            _serving = ServeAsync();
        }
        catch (SocketException refusal) when (refusal.SocketErrorCode == SocketError.AddressAlreadyInUse && addressTimeout > TimeSpan.Zero)
        {
            _serving = ServeLaterAsync(new Deadline(addressTimeout), logger);
        }
        catch (SocketException refusal)
        {
            _values.Dispose();
            throw RefusalOf(refusal);
        }
    }

    /// <summary>Where it listens, or is to listen.</summary>
    internal IPEndPoint Place { get; private set; }

    /// <inheritdoc/>
    public void Dispose()
    {
        _stop.Cancel();
        _listener.Dispose();
        _serving.Wait();
        _values.Dispose();
    }

    private void Listen()
    {
        _listener.Start();
        Place = (IPEndPoint)_listener.LocalEndpoint;
    }

    private VfioException RefusalOf(SocketException refusal) =>
        new("listening for metrics", Place.ToString(), ErrnoOf(refusal), "choose another address or port");

    private async Task ServeLaterAsync(Deadline deadline, ILogger logger)
    {
        while (true)
        {
            try
            {
                await Task.Delay(Pause, _stop.Token).ConfigureAwait(false);
                Listen();
                break;
            }
            catch (Exception stopped) when (stopped is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException refusal)
            {
                if (!deadline.HasPassed)
                    continue;
                BrokerLog.NoMetrics(logger, RefusalOf(refusal).Message);
                return;
            }
        }

        await ServeAsync().ConfigureAwait(false);
    }

    private static Errno ErrnoOf(SocketException refusal) => refusal.SocketErrorCode switch
    {
        SocketError.AddressAlreadyInUse => Errno.AddressInUse,
        SocketError.AccessDenied => Errno.AccessDenied,
        _ => Errno.InvalidArgument,
    };

    private async Task ServeAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await _free.WaitAsync(_stop.Token).ConfigureAwait(false);
                Socket peer = await _listener.AcceptSocketAsync(_stop.Token).ConfigureAwait(false);
                _ = AnswerAsync(peer);
            }
            catch (Exception refusal) when (refusal is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException)
            {
                // The peer is gone, or no descriptor is left for it: not at once again.
                _free.Release();
                await Task.Delay(Pause, CancellationToken.None).ConfigureAwait(false);
            }
        }
    }

    private async Task AnswerAsync(Socket peer)
    {
        try
        {
            using (peer)
            using (CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token))
            {
                limit.CancelAfter(Timeout);
                byte[] bytes = new byte[MaxRequestBytes];
                int count = 0;
                while (count < bytes.Length && bytes.AsSpan(0, count).IndexOf("\r\n\r\n"u8) < 0)
                {
                    int received = await peer.ReceiveAsync(bytes.AsMemory(count), SocketFlags.None, limit.Token).ConfigureAwait(false);
                    if (received == 0)
                        return;
                    count += received;
                }

                byte[] answer = Answer(bytes.AsSpan(0, count));
                for (int sent = 0; sent < answer.Length;)
                    sent += await peer.SendAsync(answer.AsMemory(sent), SocketFlags.None, limit.Token).ConfigureAwait(false);
            }
        }
        catch (Exception refusal) when (refusal is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // It did not ask, or does not read.
        }
        finally
        {
            _free.Release();
        }
    }

    private byte[] Answer(ReadOnlySpan<byte> request)
    {
        bool isWhole = request.IndexOf("\r\n\r\n"u8) >= 0;
        string[] words = Encoding.ASCII.GetString(request[..Math.Max(0, request.IndexOf("\r\n"u8))]).Split(' ');
        (string status, string body) = !isWhole || words.Length != 3 || !words[2].StartsWith("HTTP/1.", StringComparison.Ordinal) ? ("400 Bad Request", "")
            : words[0] != "GET" ? ("405 Method Not Allowed", "")
            : words[1] != "/metrics" ? ("404 Not Found", "the metrics are at /metrics\n")
            : ("200 OK", _values.Print());
        byte[] content = Encoding.UTF8.GetBytes(body);
        return
        [
            .. Encoding.ASCII.GetBytes($"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {content.Length}\r\nConnection: close\r\n\r\n"),
            .. content,
        ];
    }
}
