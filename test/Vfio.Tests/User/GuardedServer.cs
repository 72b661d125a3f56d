using Vfio.Guard;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>A guarded function behind a socket, one session at a time.</summary>
internal sealed class GuardedServer : IDisposable
{
    private readonly VfioUserServer _server;
    private readonly List<(Thread Thread, UnixSocket Socket)> _sessions = [];

    internal GuardedServer(IPciFunction function, VfioUserServerOptions? options = null)
    {
        Guarded = new GuardedFunction(function);
        _server = new VfioUserServer(Guarded.Open, options ?? new VfioUserServerOptions());
    }

    internal GuardedFunction Guarded { get; }

    internal UnixSocket Connect()
    {
        (UnixSocket ours, UnixSocket theirs) = UnixSocket.CreatePair();
        Thread thread = new(() => _server.Serve(theirs, CancellationToken.None));
        _sessions.Add((thread, theirs));
        thread.Start();
        return ours;
    }

    internal VfioUserClient ConnectClient(VfioUserClientOptions? options = null) => new(Connect(), "unix:test", options);

    public void Dispose()
    {
        foreach ((Thread thread, UnixSocket socket) in _sessions)
        {
            Assert.True(thread.Join(HangGuard.Timeout), "a session did not end");
            socket.Dispose();
        }

        _server.Dispose();
        Guarded.Dispose();
    }
}
