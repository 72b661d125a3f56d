using System.Runtime.InteropServices;
using Vfio.Native.Interop;
using Vfio.Native.Waiting;

namespace Vfio.Native.Sockets;

/// <summary>A UNIX stream socket that clients connect to.</summary>
internal sealed unsafe class UnixListener : IDisposable
{
    private const int Backlog = 16;
    private SocketPlace? _place;

    private UnixListener(FileDescriptor descriptor, SocketPlace? place)
    {
        Descriptor = descriptor;
        _place = place;
    }

    /// <summary>The listening socket; owned by this object.</summary>
    public FileDescriptor Descriptor { get; }

    /// <summary>Listens at a path. A socket file without a listener is replaced; anything else there is left alone.</summary>
    /// <remarks>Once the file is there, clients can connect, and its mode and owner are right. Of several processes that listen at once one
    /// succeeds. Root can do it in a directory of somebody whom it does not trust; a link on the way there counts if root made it.</remarks>
    /// <param name="path">The socket's file.</param>
    /// <param name="mode">Who may connect: permission bits of the file, 0660 by convention, whatever the umask.</param>
    /// <param name="owner">The owner that the file gets; needs root. Null to leave it.</param>
    /// <exception cref="VfioException">EADDRINUSE: a server listens there, or a file that is no socket is in the way; ENOENT: there is no
    /// such directory; EBUSY: another process keeps the directory locked.</exception>
    public static UnixListener Bind(string path, UnixFileMode mode, UserAccount? owner = null)
    {
        ArgumentNullException.ThrowIfNull(path);
        SocketPlace place = SocketPlace.Find(path);
        FileDescriptor? descriptor = null;
        try
        {
            descriptor = UnixAddress.NewSocket();
            place.Listen(descriptor, Backlog, mode, owner);
            return new UnixListener(descriptor, place);
        }
        catch (VfioException)
        {
            descriptor?.Dispose();
            place.Dispose();
            throw;
        }
    }

    /// <summary>Takes a socket that already listens, as a service manager or a predecessor passes it.</summary>
    /// <param name="descriptor">The socket; owned.</param>
    /// <param name="path">Its file, which is removed at the end; null to leave it.</param>
    /// <exception cref="VfioException">EINVAL: it does not listen; ENOTSOCK: it is no socket. It is closed then.</exception>
    public static UnixListener FromDescriptor(FileDescriptor descriptor, string? path = null)
    {
        ArgumentNullException.ThrowIfNull(descriptor);
        int listens = 0;
        uint length = sizeof(int);
        bool isSocket = LibC.getsockopt(descriptor.Number, LibC.SOL_SOCKET, LibC.SO_ACCEPTCONN, &listens, &length) == 0;
        if (isSocket && listens != 0)
            return new UnixListener(descriptor, path is null ? null : PlaceOf(path));
        VfioException refusal = isSocket
            ? new VfioException("listen", $"descriptor {descriptor.Number}", Errno.InvalidArgument, "it is a socket that does not listen")
            : VfioException.FromLastError("listen", $"descriptor {descriptor.Number}", "pass a UNIX socket that listens");
        descriptor.Dispose();
        throw refusal;
    }

    /// <summary>Whether it is a UNIX stream socket, rather than one of a network.</summary>
    public bool IsUnixStream => UnixSocket.IsUnixStreamAt(Descriptor);

    /// <summary>The socket's file, which is removed at the end; null when it is left.</summary>
    public string? Path => _place?.Path;

    /// <summary>Leaves the socket's file in place when this object is disposed: another process uses it.</summary>
    public void LeaveFile() => Interlocked.Exchange(ref _place, null)?.Dispose();

    /// <summary>Waits for a client.</summary>
    /// <returns>Null once <see cref="Shutdown"/> was called.</returns>
    /// <exception cref="VfioException">The socket does not listen, or the process has no descriptors left (EMFILE).</exception>
    public UnixSocket? Accept()
    {
        while (true)
        {
            int number = LibC.accept4(Descriptor.Number, null, null, LibC.SOCK_CLOEXEC);
            if (number >= 0)
                return new UnixSocket(new FileDescriptor(number));
            switch ((Errno)Marshal.GetLastPInvokeError())
            {
                // A client that gave up between connect and accept is not our error.
                case Errno.Interrupted or Errno.ConnectionAborted:
                    continue;
                case Errno.InvalidArgument:
                    return null;
                default:
                    throw VfioException.FromLastError("accept", Path ?? "the passed socket");
            }
        }
    }

    /// <summary>Accepts a client that waits, as a poll has just said. When another process that has the socket accepted it first, this takes
    /// a moment (<see cref="StuckSignals"/>) and returns.</summary>
    /// <returns>Null when there is none any more.</returns>
    /// <exception cref="VfioException">The socket does not listen (EINVAL), or the process has no descriptors left (EMFILE).</exception>
    public UnixSocket? TryAccept()
    {
        if (StuckSignals.AsksFirst && !Poll.IsReady(Descriptor, forWriting: false))
            return null;
        StuckSignals.Caller caller = StuckSignals.Begin();
        int number = LibC.accept4(Descriptor.Number, null, null, LibC.SOCK_CLOEXEC);
        caller.End();
        if (number >= 0)
            return new UnixSocket(new FileDescriptor(number));
        return (Errno)Marshal.GetLastPInvokeError() is Errno.Interrupted or Errno.ConnectionAborted or Errno.TryAgain
            ? null
            : throw VfioException.FromLastError("accept", Path ?? "the passed socket");
    }

    /// <summary>Stops listening: <see cref="Accept"/>, also one that waits in another thread, returns null.</summary>
    public void Shutdown() => _ = LibC.shutdown(Descriptor.Number, LibC.SHUT_RDWR);

    /// <summary>Removes its file, unless another lies there by now. Any thread may call it.</summary>
    public void RemoveFile()
    {
        if (Interlocked.Exchange(ref _place, null) is not { } place)
            return;
        place.Remove();
        place.Dispose();
    }

    /// <summary>Removes its file, unless another lies there by now, and closes the socket.</summary>
    public void Dispose()
    {
        // In this order: while the socket is open no other file can have the number of its own.
        RemoveFile();
        Descriptor.Dispose();
    }

    private static SocketPlace? PlaceOf(string path)
    {
        try
        {
            SocketPlace place = SocketPlace.Find(path);
            place.Own();
            return place;
        }
        catch (VfioException)
        {
            // A path that leads nowhere: there is nothing to remove at the end.
            return null;
        }
    }
}
