using System.Runtime.InteropServices;

namespace Vfio.Native;

/// <summary>A UNIX stream socket that clients connect to.</summary>
public sealed unsafe class UnixListener : IDisposable
{
    private const int Backlog = 16;
    private static readonly TimeSpan LongestAnswer = TimeSpan.FromSeconds(1);
    private static int _count;
    private string? _path;

    private UnixListener(FileDescriptor descriptor, string? path)
    {
        Descriptor = descriptor;
        _path = path;
    }

    /// <summary>The listening socket; owned by this object.</summary>
    public FileDescriptor Descriptor { get; }

    /// <summary>Listens at a path. A socket file that nobody listens at any more is replaced; anything else there is left alone.</summary>
    /// <remarks>Once the file is there, clients can connect.</remarks>
    /// <param name="path">The socket's file.</param>
    /// <param name="mode">Who may connect: permission bits of the file, 0660 by convention.</param>
    /// <exception cref="VfioException">EADDRINUSE: a server listens there, or a file that is no socket is in the way.</exception>
    public static UnixListener Bind(string path, UnixFileMode mode)
    {
        ArgumentNullException.ThrowIfNull(path);
        _ = new UnixAddress(path); // refuses a path that clients could not name
        RemoveStale(path);
        FileDescriptor descriptor = UnixAddress.NewSocket();
        string unready = System.IO.Path.Combine(System.IO.Path.GetDirectoryName(path) ?? "", $".{Environment.ProcessId:x}.{Interlocked.Increment(ref _count):x}");
        try
        {
            UnixAddress address = new(unready);
            // Under another name until it listens, so that whoever finds the file is not refused; and linked rather than
            // renamed, so that of two servers that start at once only one succeeds.
            if (LibC.bind(descriptor.Number, &address, UnixAddress.Length) != 0
                || LibC.chmod(unready, (uint)mode) != 0
                || LibC.listen(descriptor.Number, Backlog) != 0
                || LibC.link(unready, path) != 0)
            {
                throw Marshal.GetLastPInvokeError() == (int)Errno.Exists ? InUse(path) : VfioException.FromLastError("listen", path);
            }

            return new UnixListener(descriptor, path);
        }
        catch (VfioException)
        {
            descriptor.Dispose();
            throw;
        }
        finally
        {
            _ = LibC.unlink(unready);
        }
    }

    /// <summary>Takes a socket that already listens, as a service manager or a predecessor passes it.</summary>
    /// <param name="descriptor">The socket; owned.</param>
    /// <param name="path">Its file, to be removed at the end; null when that is somebody else's matter.</param>
    /// <exception cref="VfioException">EINVAL: it does not listen; ENOTSOCK: it is no socket. It is closed then.</exception>
    public static UnixListener FromDescriptor(FileDescriptor descriptor, string? path = null)
    {
        ArgumentNullException.ThrowIfNull(descriptor);
        int listens = 0;
        uint length = sizeof(int);
        bool isSocket = LibC.getsockopt(descriptor.Number, LibC.SOL_SOCKET, LibC.SO_ACCEPTCONN, &listens, &length) == 0;
        if (isSocket && listens != 0)
            return new UnixListener(descriptor, path);
        VfioException refusal = isSocket
            ? new VfioException("listen", $"descriptor {descriptor.Number}", Errno.InvalidArgument, "it is a socket that does not listen")
            : VfioException.FromLastError("listen", $"descriptor {descriptor.Number}", "pass a UNIX socket that listens");
        descriptor.Dispose();
        throw refusal;
    }

    /// <summary>The socket's file, which is removed at the end; null when that is somebody else's matter.</summary>
    public string? Path => _path;

    /// <summary>Leaves the socket's file to somebody else: it stays when this object is disposed.</summary>
    public void LeaveFile() => _path = null;

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
                    throw VfioException.FromLastError("accept", _path ?? "the passed socket");
            }
        }
    }

    /// <summary>Stops listening: <see cref="Accept"/>, also one that waits in another thread, returns null.</summary>
    public void Shutdown() => _ = LibC.shutdown(Descriptor.Number, LibC.SHUT_RDWR);

    /// <summary>Closes the socket and removes its file.</summary>
    public void Dispose()
    {
        Descriptor.Dispose();

        // Once: another may listen there by the second time.
        if (Interlocked.Exchange(ref _path, null) is string path)
            File.Delete(path);
    }

    private static void RemoveStale(string path)
    {
        if (!System.IO.Path.Exists(path))
            return;
        try
        {
            using UnixSocket living = UnixSocket.Connect(path, LongestAnswer);
        }
        catch (VfioException refusal) when (refusal.Errno == Errno.TimedOut)
        {
            // Its queue is full: it lives, if badly.
        }
        catch (VfioException refusal) when (refusal.Errno == Errno.ConnectionRefused && IsSocket(path))
        {
            File.Delete(path);
            return;
        }

        throw InUse(path);
    }

    private static VfioException InUse(string path) =>
        new("listen", path, Errno.AddressInUse, "a server listens there, or the file is no socket; choose another path");

    private static bool IsSocket(string path)
    {
        byte* status = stackalloc byte[256];
        return LibC.lstat(path, status) == 0 && FileIdentity.IsSocket(status);
    }
}
