using System.Text;
using Vfio.Native;

namespace Vfio.User;

/// <summary>Where a server waits for its successor, a process of a newer version, to give it the listening socket.</summary>
/// <remarks>
/// <para>Clients find the socket there all the time: who connects in between waits in its backlog. The session of now ends, and a client
/// that reconnects (<see cref="VfioUserClientOptions.ReconnectTimeout"/>) goes on with the successor; the device is reset.</para>
/// <para>The file can be connected to by the same user and root alone. The message is a line, <c>vfio-handover 1 PATH</c>, with the
/// socket as its one descriptor.</para>
/// </remarks>
public sealed class HandoverPoint : IDisposable
{
    private const string Greeting = "vfio-handover 1 ";
    private const int MaxLineBytes = 4096;
    private readonly UnixListener _listener;
    private readonly EventFd _stop = EventFd.Create();
    private UnixSocket? _successor;

    /// <summary>Waits at a path, from here on.</summary>
    /// <param name="path">A file of its own, beside the server's socket.</param>
    /// <exception cref="VfioException">EADDRINUSE: somebody else waits there.</exception>
    public HandoverPoint(string path) => _listener = UnixListener.Bind(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);

    /// <summary>Goes on in place of a server: asks it for its socket, which ends its session.</summary>
    /// <param name="path">Where it waits.</param>
    /// <param name="timeout">How long it may take.</param>
    /// <returns>Options that say where to listen.</returns>
    /// <exception cref="VfioException">Nobody waits there (ECONNREFUSED, ENOENT), not in time (ETIMEDOUT), or it is no such server
    /// (EPROTO).</exception>
    public static VfioUserServerOptions TakeOver(string path, TimeSpan timeout)
    {
        using UnixSocket predecessor = UnixSocket.Connect(path);
        using DescriptorQueue passed = new();
        byte[] line = new byte[MaxLineBytes];
        int length = 0;
        Deadline deadline = new(timeout);
        while (!line.AsSpan(0, length).Contains((byte)'\n'))
        {
            if (!Poll.WaitReadable(predecessor.Descriptor, deadline.Left) && deadline.HasPassed)
                throw new VfioException("taking over", path, Errno.TimedOut, "the server there does not let go");
            int count = predecessor.Receive(line.AsSpan(length), passed, wait: false, out Errno error);
            if (count == 0 || length + count == line.Length || (count < 0 && error != Errno.TryAgain))
                throw new VfioException("taking over", path, count < 0 ? error : Errno.Protocol, "the server there gave nothing");
            length += Math.Max(0, count);
        }

        string text = Encoding.UTF8.GetString(line, 0, length).TrimEnd('\n');
        return text.StartsWith(Greeting, StringComparison.Ordinal) && passed.Take() is FileDescriptor listener
            ? new VfioUserServerOptions { Listener = listener, Path = text.Length > Greeting.Length ? text[Greeting.Length..] : null }
            : throw new VfioException("taking over", path, Errno.Protocol, "what answers there is no server that hands over");
    }

    /// <summary>Waits for a successor to ask.</summary>
    /// <param name="cancellation">Ends the wait.</param>
    /// <returns>False when it was cancelled.</returns>
    public Task<bool> WaitAsync(CancellationToken cancellation) => Task.Factory.StartNew(
        () => Wait(cancellation), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    /// <summary>Stops waiting and removes the file.</summary>
    public void Dispose()
    {
        _successor?.Dispose();
        _listener.Dispose();
        _stop.Dispose();
    }

    /// <summary>Gives the socket to who asked.</summary>
    /// <returns>False when it is gone.</returns>
    internal bool Give(FileDescriptor listener, string? path)
    {
        using UnixSocket? successor = Interlocked.Exchange(ref _successor, null);
        if (successor is null)
            return false;

        // The successor waits at the same place as soon as it has the socket.
        _listener.Dispose();
        byte[] line = Encoding.UTF8.GetBytes($"{Greeting}{(path is null ? "" : Path.GetFullPath(path))}\n");
        return successor.Send(line, default, [listener], wait: true, out _) == line.Length;
    }

    private bool Wait(CancellationToken cancellation)
    {
        using CancellationTokenRegistration registration = cancellation.Register(_stop.Signal);
        Span<bool> ready = [false, false];
        while (!cancellation.IsCancellationRequested)
        {
            if (Poll.WaitAny([_listener.Descriptor, _stop.Descriptor], ready, Timeout.InfiniteTimeSpan) == 0 || !ready[0])
                continue;
            _successor = _listener.Accept();
            return _successor is not null;
        }

        return false;
    }
}
