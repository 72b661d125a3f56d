using Vfio.Guard;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>A guarded function behind a server, a session for each connection that is made, one after the other.</summary>
internal sealed class ClientOfServer : IDisposable
{
    private readonly GuardedFunction _function;
    private readonly VfioUserServer _server;
    private readonly CancellationTokenSource _stop = new();
    private Thread? _session;

    internal ClientOfServer(IPciFunction function, VfioUserServerOptions? options = null)
    {
        _function = new GuardedFunction(function);
        _server = new VfioUserServer(_function.Open, options ?? new VfioUserServerOptions());
    }

    internal VfioUserClient Connect() => new(Open(), "unix:test");

    /// <summary>A connection by hand, with VERSION done.</summary>
    internal RawPeer ConnectRaw()
    {
        RawPeer peer = new(Open());
        peer.Negotiate();
        return peer;
    }

    internal UnixSocket Open()
    {
        WaitForSession();
        (UnixSocket ours, UnixSocket theirs) = UnixSocket.CreatePair();
        _session = new Thread(() =>
        {
            _server.Serve(theirs, _stop.Token);
            theirs.Dispose();
        });
        _session.Start();
        return ours;
    }

    public void Dispose()
    {
        _stop.Cancel();
        WaitForSession();
        _server.Dispose();
        _function.Dispose();
        _stop.Dispose();
    }

    private void WaitForSession() => Assert.True(_session?.Join(HangGuard.Timeout) ?? true, "a session did not end");
}
