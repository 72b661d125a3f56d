using System.Runtime.InteropServices;
using Vfio.Native.Files;

namespace Vfio.Native.Tracing;

/// <summary>A process, whatever becomes of its number (a pidfd).</summary>
internal sealed class ProcessHandle : IDisposable
{
    private const int Sigkill = 9;
    private readonly FileDescriptor _descriptor;
    private readonly ForeignSender _sender = new();

    private ProcessHandle(FileDescriptor descriptor) => _descriptor = descriptor;

    /// <summary>Takes hold of a process by its number.</summary>
    /// <returns>Null when there is none: errno says why.</returns>
    internal static ProcessHandle? Open(int processId)
    {
        nint number = TraceCalls.syscall((nint)SystemCall.PidfdOpen, processId, 0, 0, 0, 0, 0);
        return number >= 0 ? new ProcessHandle(new FileDescriptor((int)number)) : null;
    }

    /// <summary>A copy of one of its descriptors, close-on-exec.</summary>
    /// <returns>Null when it has no such descriptor, or this process may not: errno says why.</returns>
    internal FileDescriptor? CopyDescriptor(int number)
    {
        nint copy = TraceCalls.syscall((nint)SystemCall.PidfdGetfd, _descriptor.Number, number, 0, 0, 0, 0);
        return copy >= 0 ? FileDescriptor.Received((int)copy, _sender) : null;
    }

    /// <summary>Sends it a signal.</summary>
    internal Errno Signal(int signal) => TraceCalls.syscall((nint)SystemCall.PidfdSendSignal, _descriptor.Number, signal, 0, 0, 0, 0) == 0
        ? Errno.None
        : (Errno)Marshal.GetLastPInvokeError();

    /// <summary>Ends a child that nobody has waited for yet.</summary>
    internal static void Kill(int child) => _ = TraceCalls.kill(child, Sigkill);

    /// <inheritdoc/>
    public void Dispose() => _descriptor.Dispose();
}
