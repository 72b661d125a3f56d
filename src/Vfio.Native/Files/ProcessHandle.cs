using Vfio.Native.Interop;

namespace Vfio.Native.Files;

/// <summary>A process by a descriptor (pidfd): a later process of the same number is not it.</summary>
internal sealed class ProcessHandle : IDisposable
{
    private const int Kill = 9;
    private readonly FileDescriptor _descriptor;

    private ProcessHandle(FileDescriptor descriptor) => _descriptor = descriptor;

    /// <summary>Opens a process.</summary>
    /// <param name="process">Its number.</param>
    /// <returns>Null when there is none, or no descriptor is left.</returns>
    internal static ProcessHandle? TryOpen(int process)
    {
        int number = process > 0 ? ProcessCalls.Open(process) : -1;
        return number >= 0 ? new ProcessHandle(new FileDescriptor(number)) : null;
    }

    /// <summary>Ends it by SIGKILL.</summary>
    /// <returns>Whether it has got the signal; false also when it has ended.</returns>
    internal bool TryKill() => ProcessCalls.Signal(_descriptor.Number, Kill) == 0;

    /// <inheritdoc/>
    public void Dispose() => _descriptor.Dispose();
}
