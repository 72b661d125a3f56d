using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Tests.User;

/// <summary>A server by hand that has a twin socket, and its client.</summary>
internal sealed class TwinServer : IDisposable
{
    private readonly Thread _thread;

    internal TwinServer(Action<(RawPeer Main, RawPeer Twin)> serve)
    {
        (UnixSocket ours, UnixSocket theirs) = UnixSocket.CreatePair();
        (UnixSocket ourTwin, UnixSocket theirTwin) = UnixSocket.CreatePair();
        _thread = new Thread(() =>
        {
            using RawPeer main = new(theirs);
            using RawPeer twin = new(theirTwin);
            const string Capabilities = "{\"capabilities\":{\"twin_socket\":{\"supported\":true,\"fd_index\":1}}}\0";
            using (ourTwin)
            {
                using EventFd other = EventFd.Create();
                byte[] version = RawPeer.Message(main.Receive().Id, 1, 1, (ushort)0, (ushort)1, Capabilities);
                main.Send(version, other.Descriptor, ourTwin.Descriptor);
            }

            main.Send(RawPeer.Message(main.Receive().Id, 4, 1, 16, 3, 9, 5));
            serve((main, twin));
        });
        _thread.Start();
        Client = new VfioUserClient(ours, "unix:test");
    }

    internal VfioUserClient Client { get; }

    public void Dispose()
    {
        Assert.True(_thread.Join(TimeSpan.FromSeconds(30)));
        Client.Dispose();
    }
}
