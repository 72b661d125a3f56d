using Vfio.Native;
using Vfio.Native.Memory;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;
using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Conformance;

/// <summary>One run of a check: its connections, the files that it made, and a log of the messages.</summary>
/// <remarks>Used by one thread. Disposing it closes all of them.</remarks>
internal sealed class Trial : IDisposable
{
    private const int MaxLogged = 200;
    private readonly ServerUnderTest _server;
    private readonly DeviceFacts? _device;
    private readonly List<IDisposable> _owned = [];
    private readonly List<LoggedMessage> _log = [];
    private int _connections;

    internal Trial(ServerUnderTest server, DeviceFacts? device) => (_server, _device) = (server, device);

    /// <summary>Timeout of one answer.</summary>
    internal TimeSpan Timeout => _server.Timeout;

    /// <summary>Facts about the server and its device. A check that needs them is skipped if they could not be read.</summary>
    internal DeviceFacts Device => _device ?? throw CheckEndedException.Skip("the server did not say what its device is");

    /// <summary>The server's process, if it is known.</summary>
    internal int? ProcessId => _server.ProcessId;

    /// <summary>The messages.</summary>
    internal IReadOnlyList<LoggedMessage> Exchange => _log;

    /// <summary>Cancels the waits of the check.</summary>
    internal CancellationToken Cancellation => _server.Cancellation;

    /// <summary>A new connection, before VERSION.</summary>
    internal Peer Connect()
    {
        UnixSocket socket = _server.Connect();
        Peer peer = new(this, socket, ++_connections);
        _owned.Add(peer);
        return peer;
    }

    /// <summary>A new connection with VERSION done.</summary>
    internal Peer Open(string json = Requests.AllCapabilities)
    {
        for (Deadline end = new(_server.RestartTime); ; Thread.Sleep(ServerUnderTest.Pause))
        {
            Peer peer = Connect();
            ushort id = peer.Send(Requests.Version(json));
            Arrival arrival = peer.Await(out Received? reply);

            // A server that is about to exit after the previous client still accepts the next one, and closes.
            if (arrival == Arrival.Closed && !end.HasPassed)
            {
                _server.NoteRestart();
                peer.Dispose();
                continue;
            }

            peer.Agreed = peer.MustSucceed(peer.Check(arrival, reply, id, Command.Version), Command.Version);
            return peer;
        }
    }

    /// <summary>A connection of the check has ended.</summary>
    internal void Leave() => _server.Leave();

    /// <summary>A memory file to pass to the server.</summary>
    internal FileDescriptor MemoryFile(ulong bytes) => Own(Native.Memory.MemoryFile.Create("vfio-check", bytes));

    /// <summary>An eventfd to pass to the server.</summary>
    internal EventFd Event()
    {
        EventFd events = EventFd.Create();
        _owned.Add(events);
        return events;
    }

    /// <summary>Keeps an object until the end of the check, and disposes it then.</summary>
    internal T Own<T>(T thing)
        where T : IDisposable
    {
        _owned.Add(thing);
        return thing;
    }

    /// <summary>Logs a message.</summary>
    internal void Log(int connection, bool isSent, ReadOnlySpan<byte> bytes, int descriptors)
    {
        if (_log.Count < MaxLogged)
        {
            byte[] kept = bytes[..Math.Min(bytes.Length, LoggedMessage.KeptBytes)].ToArray();
            _log.Add(new LoggedMessage(connection, isSent, bytes.Length, kept, descriptors, MessageText.Of(bytes)));
        }
    }

    /// <summary>Closes the connections, and what the check made.</summary>
    public void Dispose()
    {
        for (int i = _owned.Count - 1; i >= 0; i--)
            _owned[i].Dispose();
        _owned.Clear();
    }
}
