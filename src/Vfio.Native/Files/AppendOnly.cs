using Microsoft.Win32.SafeHandles;
using Vfio.Native.Interop;

namespace Vfio.Native.Files;

/// <summary>Files that several processes append to.</summary>
internal static class AppendOnly
{
    private const int O_APPEND = 0x400;

    /// <summary>Has the kernel put each write at the end of the file, wherever that is by then (open(2), O_APPEND).</summary>
    /// <remarks>.NET's <see cref="FileMode.Append"/> goes to the end once and writes at the positions that follow, over what another process
    /// wrote there since, and beyond the end of a file that was truncated.</remarks>
    /// <exception cref="VfioException">The kernel refused.</exception>
    internal static void Set(SafeFileHandle file, string path)
    {
        bool isHeld = false;
        try
        {
            file.DangerousAddRef(ref isHeld);
            int number = (int)file.DangerousGetHandle();
            int flags = LibC.fcntl(number, LibC.F_GETFL, 0);
            if (flags < 0 || LibC.fcntl(number, LibC.F_SETFL, flags | O_APPEND) < 0)
                throw VfioException.FromLastError("appending", path);
        }
        finally
        {
            if (isHeld)
                file.DangerousRelease();
        }
    }
}
