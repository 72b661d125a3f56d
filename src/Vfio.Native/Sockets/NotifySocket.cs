using System.Text;
using Vfio.Native.Interop;

namespace Vfio.Native.Sockets;

/// <summary>The socket on which a service manager hears how a service is: sd_notify(3), without its library.</summary>
/// <remarks>Any thread may use it. A message that cannot be sent is dropped: the manager is gone, or does not read.</remarks>
internal sealed unsafe class NotifySocket : IDisposable
{
    private readonly UnixSocket _socket;

    private NotifySocket(UnixSocket socket) => _socket = socket;

    /// <summary>Connects to a socket.</summary>
    /// <param name="address">A path, or a name after <c>@</c> that is in no file system: the variable NOTIFY_SOCKET.</param>
    /// <returns>Null when nothing listens there.</returns>
    internal static NotifySocket? TryConnect(string address)
    {
        int number = LibC.socket(LibC.AF_UNIX, LibC.SOCK_DGRAM | LibC.SOCK_CLOEXEC, 0);
        if (number < 0)
            return null;
        UnixSocket socket = new(new FileDescriptor(number));
        if (address.Length is > 1 and < UnixAddress.MaxPathBytes && Connect(number, address))
            return new NotifySocket(socket);
        socket.Dispose();
        return null;
    }

    /// <summary>Sends one message: lines of <c>NAME=value</c>.</summary>
    internal void Send(string message) => _socket.Send(Encoding.UTF8.GetBytes(message), wait: false, out _);

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();

    private static bool Connect(int number, string address)
    {
        // struct sockaddr_un: the family, then the path. A NUL in the place of @ is a name outside of the file system.
        byte* place = stackalloc byte[sizeof(ushort) + UnixAddress.MaxPathBytes];
        new Span<byte>(place, sizeof(ushort) + UnixAddress.MaxPathBytes).Clear();
        *(ushort*)place = LibC.AF_UNIX;
        int length = Encoding.UTF8.GetByteCount(address);
        if (length >= UnixAddress.MaxPathBytes)
            return false;
        Encoding.UTF8.GetBytes(address, new Span<byte>(place + sizeof(ushort), UnixAddress.MaxPathBytes));
        if (address[0] == '@')
            place[sizeof(ushort)] = 0;
        return LibC.connect(number, place, (uint)(sizeof(ushort) + length)) == 0;
    }
}
