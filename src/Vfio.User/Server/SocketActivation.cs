using System.Globalization;
using Vfio.Native;

namespace Vfio.User;

/// <summary>A listening socket from the service manager that started this process: sd_listen_fds(3), without its library.</summary>
/// <remarks>The manager sets LISTEN_PID to the id of the process, LISTEN_FDS to the number of descriptors, and passes them from 3
/// on.</remarks>
public static class SocketActivation
{
    private const int First = 3;
    private static readonly string[] Variables = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

    /// <summary>Whether sockets were passed to this process, rather than to a process that started it.</summary>
    public static bool IsActivated => Number("LISTEN_PID") == Environment.ProcessId && Number("LISTEN_FDS") > 0;

    /// <summary>Takes the one socket; a second call, and children of this process, get none.</summary>
    /// <returns>Null when none was passed. The caller owns it.</returns>
    /// <exception cref="VfioException">EINVAL: several were passed; EBADF: the announced descriptor is not open.</exception>
    public static FileDescriptor? TakeListener()
    {
        if (!IsActivated)
            return null;
        int? count = Number("LISTEN_FDS");
        foreach (string variable in Variables)
            Environment.SetEnvironmentVariable(variable, null);
        return count == 1
            ? FileDescriptor.Inherited(First)
            : throw new VfioException(
                "socket activation", "LISTEN_FDS", Errno.InvalidArgument, $"{count} sockets were passed; one server takes one");
    }

    private static int? Number(string variable) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? number
            : null;
}
