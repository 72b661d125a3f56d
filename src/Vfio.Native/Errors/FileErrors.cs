using System.ComponentModel;
using System.Net.Sockets;

namespace Vfio.Native.Errors;

/// <summary>The errors of .NET's files and sockets as the kernel knows them.</summary>
internal static class FileErrors
{
    private const int FileNotFound = unchecked((int)0x80070002);

    /// <summary>The errno of what .NET threw when a file could not be opened, read or written; EINVAL for a path that can be none, EIO where
    /// nothing else is known.</summary>
    internal static Errno ErrnoOf(Exception exception) => exception switch
    {
        UnauthorizedAccessException { InnerException: IOException { HResult: > 0 and < 4096 and int number } } => (Errno)number,
        UnauthorizedAccessException => Errno.AccessDenied,
        FileNotFoundException or DirectoryNotFoundException or { HResult: FileNotFound } => Errno.NoEntry,
        PathTooLongException => Errno.NameTooLong,
        ArgumentException => Errno.InvalidArgument,
        SocketException or Win32Exception when exception is Win32Exception { NativeErrorCode: > 0 and < 4096 and int number } => (Errno)number,
        { HResult: > 0 and < 4096 and int number } => (Errno)number,
        _ => Errno.InputOutput,
    };
}
