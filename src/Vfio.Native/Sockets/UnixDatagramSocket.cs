using System.Runtime.InteropServices;
using Vfio.Native.Interop;

namespace Vfio.Native.Sockets;

/// <summary>A UNIX datagram socket with a file of its own, and one peer. No call waits.</summary>
/// <remarks>One thread may send while another receives and connects.</remarks>
internal sealed unsafe class UnixDatagramSocket : IDisposable
{
    private readonly string _path;

    private UnixDatagramSocket(FileDescriptor descriptor, string path)
    {
        Descriptor = descriptor;
        _path = path;
    }

    /// <summary>The socket's descriptor, to wait on; owned by this object.</summary>
    public FileDescriptor Descriptor { get; }

    /// <summary>Makes the socket and its file, which is removed at the end.</summary>
    /// <param name="path">The file; nothing may be there.</param>
    /// <exception cref="VfioException">EADDRINUSE: something is there; ENOENT: there is no such folder; EINVAL: no socket's
    /// path.</exception>
    public static UnixDatagramSocket Bind(string path)
    {
        UnixAddress address = new(path);
        int number = LibC.socket(LibC.AF_UNIX, LibC.SOCK_DGRAM | LibC.SOCK_CLOEXEC | LibC.O_NONBLOCK, 0);
        if (number < 0)
            throw VfioException.FromLastError("socket", "this process");
        FileDescriptor descriptor = new(number);
        if (LibC.bind(number, &address, UnixAddress.Length) == 0)
            return new UnixDatagramSocket(descriptor, path);
        VfioException refusal = VfioException.FromLastError("bind", path, "give a path where nothing is yet");
        descriptor.Dispose();
        throw refusal;
    }

    /// <summary>Finds the peer: from then on datagrams go to it, and come from it alone.</summary>
    /// <param name="path">Its file.</param>
    /// <returns>False when it is not there, or may not be written to.</returns>
    public bool TryConnect(string path)
    {
        UnixAddress address = new(path);
        return LibC.connect(Descriptor.Number, &address, UnixAddress.Length) == 0;
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
        Descriptor.Dispose();
        _ = LibC.unlinkat(LibC.AT_FDCWD, _path, 0);
    }
}
