using System.Text;
using Vfio.Native.Interop;

namespace Vfio.Native.Sockets;

/// <summary><c>struct sockaddr_un</c>: a socket's place in the file system.</summary>
internal unsafe struct UnixAddress
{
    /// <summary>Longest path in bytes, with the NUL that ends it.</summary>
    internal const int MaxPathBytes = 108;

    internal const uint Length = sizeof(ushort) + MaxPathBytes;

#pragma warning disable IDE0052 // the kernel reads both
    private ushort _family;
    private fixed byte _path[MaxPathBytes];
#pragma warning restore IDE0052

    internal UnixAddress(string path)
    {
        _family = LibC.AF_UNIX;
        int bytes = Encoding.UTF8.GetByteCount(path);
        if (path.Contains('\0'))
            throw new VfioException("socket address", path.Replace('\0', '\ufffd'), Errno.InvalidArgument, "a path has no NUL in it");
        if (bytes is 0 or >= MaxPathBytes)
            throw new VfioException("socket address", path, Errno.InvalidArgument, $"a socket's path has 1 to {MaxPathBytes - 1} bytes, this has {bytes}");
        fixed (byte* to = _path)
            Encoding.UTF8.GetBytes(path, new Span<byte>(to, MaxPathBytes));
    }

    internal static FileDescriptor NewSocket()
    {
        int number = LibC.socket(LibC.AF_UNIX, LibC.SOCK_STREAM | LibC.SOCK_CLOEXEC, 0);
        return number >= 0 ? new FileDescriptor(number) : throw VfioException.FromLastError("socket", "this process");
    }
}
