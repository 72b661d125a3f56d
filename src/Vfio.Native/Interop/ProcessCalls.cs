using System.Runtime.InteropServices;

namespace Vfio.Native.Interop;

/// <summary>System calls on processes that the C library has no function for on every system. Their numbers are the same on all processors.</summary>
internal static partial class ProcessCalls
{
    private const nint PidfdSendSignal = 424, PidfdOpen = 434, PidfdGetDescriptor = 438, PidfdThread = 0x80;

    /// <summary>pidfd_open(2).</summary>
    internal static int Open(int process) => (int)syscall(PidfdOpen, process, 0, 0, 0);

    /// <summary>pidfd_open(2) of a thread; Linux 6.9.</summary>
    internal static int OpenThread(int thread) => (int)syscall(PidfdOpen, thread, PidfdThread, 0, 0);

    /// <summary>pidfd_send_signal(2).</summary>
    internal static int Signal(int descriptor, int signal) => (int)syscall(PidfdSendSignal, descriptor, signal, 0, 0);

    /// <summary>pidfd_getfd(2).</summary>
    internal static int GetDescriptor(int descriptor, int theirs) => (int)syscall(PidfdGetDescriptor, descriptor, theirs, 0, 0);

    /// <summary>execv(3): this process becomes another program, with the same number, descriptors and terminal.</summary>
    /// <param name="path">The program.</param>
    /// <param name="words">Its name and its arguments.</param>
    /// <returns>The errno; it returns only when it fails.</returns>
    internal static Errno Become(string path, IEnumerable<string> words)
    {
        _ = execv(path, [.. words, null]);
        return (Errno)Marshal.GetLastPInvokeError();
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int execv(string path, string?[] words);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint syscall(nint number, nint first, nint second, nint third, nint fourth);
}
