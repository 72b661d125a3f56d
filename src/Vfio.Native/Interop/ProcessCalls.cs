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

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint syscall(nint number, nint first, nint second, nint third, nint fourth);
}
