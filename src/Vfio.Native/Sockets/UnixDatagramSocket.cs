using System.Runtime.InteropServices;
using Vfio.Native.Interop;

namespace Vfio.Native.Sockets;

/// <summary>A UNIX datagram socket with a file of its own, and one peer. No call waits.</summary>
/// <remarks>One thread may send while another receives and connects.</remarks>
internal sealed unsafe class UnixDatagramSocket : IDisposable
{
    private readonly SocketPlace _place;

    private UnixDatagramSocket(FileDescriptor descriptor, SocketPlace place)
    {
        Descriptor = descriptor;
        _place = place;
    }

    /// <summary>The socket's descriptor, to wait on; owned by this object.</summary>
    public FileDescriptor Descriptor { get; }

    /// <summary>Makes the socket and its file, which is removed at the end. A file without a socket is replaced; anything else there is
    /// left alone.</summary>
    /// <param name="path">The file.</param>
    /// <param name="mode">Who may send: permission bits of the file, whatever the umask.</param>
    /// <exception cref="VfioException">EADDRINUSE: something is there; ENOENT: there is no such folder; EINVAL: no socket's path; EBUSY:
    /// another process keeps the folder locked.</exception>
    public static UnixDatagramSocket Bind(string path, UnixFileMode mode)
    {
        SocketPlace place = SocketPlace.Find(path);
        FileDescriptor? descriptor = null;
        try
        {
            int number = LibC.socket(LibC.AF_UNIX, LibC.SOCK_DGRAM | LibC.SOCK_CLOEXEC | LibC.O_NONBLOCK, 0);
            descriptor = number >= 0 ? new FileDescriptor(number) : throw VfioException.FromLastError("socket", "this process");
            place.Bind(descriptor, mode);
            return new UnixDatagramSocket(descriptor, place);
        }
        catch (VfioException)
        {
            descriptor?.Dispose();
            place.Dispose();
            throw;
        }
    }

    /// <summary>Finds the peer: from then on datagrams go to it, and come from it alone.</summary>
    /// <param name="path">Its file.</param>
    /// <returns>False when it is not there, or may not be written to.</returns>
    public bool TryConnect(string path)
    {
        try
        {
            using SocketFile file = SocketFile.Find(path);
            UnixAddress address = file.Address;
            return LibC.connect(Descriptor.Number, &address, UnixAddress.Length) == 0;
        }
        catch (VfioException)
        {
            return false;
        }
    }

    /// <summary>Receives a datagram; what is longer than the buffer is cut off.</summary>
    /// <param name="buffer">Where it goes.</param>
    /// <param name="error">EAGAIN: there is none now.</param>
    /// <returns>Its length; -1 with <paramref name="error"/>.</returns>
    public int Receive(Span<byte> buffer, out Errno error)
    {
        fixed (byte* first = buffer)
        {
            nint count = LibC.read(Descriptor.Number, first, (nuint)buffer.Length);
            error = count < 0 ? (Errno)Marshal.GetLastPInvokeError() : Errno.None;
            return (int)count;
        }
    }

    /// <summary>Sends a datagram to the peer.</summary>
    /// <returns>EAGAIN: its queue is full; ECONNREFUSED: it is gone; ENOTCONN: there is none.</returns>
    public Errno Send(ReadOnlySpan<byte> datagram)
    {
        fixed (byte* first = datagram)
        {
            return MessageCalls.Send(Descriptor.Number, first, datagram.Length, LibC.MSG_NOSIGNAL | LibC.MSG_DONTWAIT) >= 0
                ? Errno.None : (Errno)Marshal.GetLastSystemError();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // In this order: while the socket is open no other file can have the number of its own.
        _place.Remove();
        _place.Dispose();
        Descriptor.Dispose();
    }
}
