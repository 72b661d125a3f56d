using System.Runtime.InteropServices;
using Vfio.Native.Interop;

namespace Vfio.Native.Files;

/// <summary>A process by a descriptor (pidfd): a later process of the same number is not it.</summary>
internal sealed class ProcessHandle : IDisposable
{
    private const int Kill = 9;
    private readonly FileDescriptor _descriptor;
    private readonly ForeignSender _sender = new();

    private ProcessHandle(FileDescriptor descriptor) => _descriptor = descriptor;

    /// <summary>Opens a process.</summary>
    /// <param name="process">Its number.</param>
    /// <returns>Null when there is none, or no descriptor is left: errno says why.</returns>
    internal static ProcessHandle? TryOpen(int process)
    {
        int number = process > 0 ? ProcessCalls.Open(process) : -1;
        return number >= 0 ? new ProcessHandle(new FileDescriptor(number)) : null;
    }

    /// <summary>Opens a process by a thread of it that is there: the first one may have ended, and has no descriptors then.</summary>
    /// <param name="process">The process; taken where the kernel is older than Linux 6.9.</param>
    /// <param name="thread">The thread.</param>
    /// <returns>Null when there is none, or no descriptor is left: errno says why.</returns>
    internal static ProcessHandle? TryOpen(int process, int thread)
    {
        int number = thread == process ? -1 : ProcessCalls.OpenThread(thread);
        return number >= 0 ? new ProcessHandle(new FileDescriptor(number)) : TryOpen(process);
    }

    /// <summary>A copy of one of its descriptors, close-on-exec.</summary>
    /// <returns>Null when it has no such descriptor, or this process may not: errno says why.</returns>
    internal FileDescriptor? TryCopyDescriptor(int number)
    {
        int copy = ProcessCalls.GetDescriptor(_descriptor.Number, number);
        return copy >= 0 ? FileDescriptor.Received(copy, _sender) : null;
    }

    /// <summary>Sends it a signal.</summary>
    internal Errno Signal(int signal) =>
        ProcessCalls.Signal(_descriptor.Number, signal) == 0 ? Errno.None : (Errno)Marshal.GetLastPInvokeError();

    /// <summary>Ends it by SIGKILL.</summary>
    /// <returns>Whether it has got the signal; false also when it has ended.</returns>
    internal bool TryKill() => Signal(Kill) == Errno.None;

    /// <inheritdoc/>
    public void Dispose() => _descriptor.Dispose();
}
