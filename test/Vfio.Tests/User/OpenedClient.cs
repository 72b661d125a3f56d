using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.User;

namespace Vfio.Tests.User;

/// <summary>A client whose server did well until it was open.</summary>
internal sealed class OpenedClient : IDisposable
{
    private readonly RawPeer _server;
    private Thread? _thread;

    internal OpenedClient()
    {
        (UnixSocket ours, UnixSocket theirs) = UnixSocket.CreatePair();
        _server = new RawPeer(theirs);
        Serve(server =>
        {
            server.Send(RawPeer.Message(server.Receive().Id, 1, 1, HostileServerTests.Good));
            server.Send(RawPeer.Message(server.Receive().Id, 4, 1, 16, 3, 9, 5));
        });
        Client = new VfioUserClient(ours, "unix:test", new VfioUserClientOptions { Timeout = HangGuard.Timeout });
    }

    internal VfioUserClient Client { get; }

    internal void Serve(Action<RawPeer> serve)
    {
        _thread?.Join();
        _thread = new Thread(() => serve(_server));
        _thread.Start();
    }

    public void Dispose()
    {
        Client.Dispose();
        Assert.True(_thread!.Join(HangGuard.Timeout));
        _server.Dispose();
    }
}
