using Vfio.Native;

namespace Vfio.Run.Interface;

/// <summary>What a system call returns.</summary>
internal static class Answer
{
    private const int MaxErrno = 4095;

    /// <summary>0, or the errno below it.</summary>
    internal static long Of(Errno error) => -(long)error;

    /// <summary>Whether an exception is a refusal of the device or of its memory, which has an errno.</summary>
    internal static bool IsRefusal(Exception exception) => exception is VfioException or ObjectDisposedException;

    /// <summary>The errno of a refusal: EIO where it has none that a system call can return, ENODEV for a device that was closed.</summary>
    internal static long Of(Exception refusal) => refusal is not VfioException { Errno: var error } ? Of(Errno.NoDevice)
        : (int)error is > 0 and <= MaxErrno ? Of(error) : Of(Errno.InputOutput);
}
