using System.Collections.Concurrent;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>A server of fake devices, a session on a thread of its own for each connection that is made.</summary>
internal sealed class TestServer : IDisposable
{
    private readonly VfioUserServer _server;
    private readonly CancellationTokenSource _stop = new();
    private readonly List<(Thread Thread, UnixSocket Socket)> _sessions = [];
    private readonly ConcurrentQueue<Exception> _failures = [];

    internal TestServer(Func<FakeDevice>? make = null, VfioUserServerOptions? options = null)
    {
        make ??= () => new FakeDevice();
        _server = new VfioUserServer(
            () =>
            {
                FakeDevice device = make();
                lock (Devices)
                    Devices.Add(device);
                return device;
            },
            options ?? new VfioUserServerOptions());
    }

    /// <summary>Every device that was opened, the last one last.</summary>
    internal List<FakeDevice> Devices { get; } = [];

    internal FakeDevice Device => Devices[^1];

    /// <summary>The client's end of a new connection.</summary>
    internal UnixSocket Connect()
    {
        (UnixSocket ours, UnixSocket theirs) = UnixSocket.CreatePair();
        Thread thread = new(() =>
        {
            try
            {
                _server.Serve(theirs, _stop.Token);
            }
            catch (Exception failure)
            {
                _failures.Enqueue(failure);
            }
            finally
            {
                theirs.Dispose();
            }
        });
        _sessions.Add((thread, theirs));
        thread.Start();
        return ours;
    }

    internal VfioUserClient ConnectClient(VfioUserClientOptions? options = null) => new(Connect(), "unix:test", options);

    /// <summary>A connection by hand, with VERSION done.</summary>
    internal RawPeer ConnectRaw(bool negotiate = true)
    {
        RawPeer peer = new(Connect());
        if (negotiate)
            peer.Negotiate();
        return peer;
    }

    /// <summary>Waits until all sessions are over, which they must be by themselves.</summary>
    internal void WaitForSessions()
    {
        foreach ((Thread thread, _) in _sessions)
            Assert.True(thread.Join(HangGuard.Timeout), "a session did not end");
        Assert.Empty(_failures);
        _sessions.Clear();
    }

    public void Dispose()
    {
        _stop.Cancel();
        WaitForSessions();
        Assert.All(Devices, device => Assert.True(device.Disposed));
        _server.Dispose();
        _stop.Dispose();
    }
}
