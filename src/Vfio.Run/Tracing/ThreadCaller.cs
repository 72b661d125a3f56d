using System.Globalization;
using Vfio.Native;
using Vfio.Native.Files;
using Vfio.Native.Tracing;
using Vfio.Run.Interface;

namespace Vfio.Run.Tracing;

/// <summary>The thread that made a system call, for the duration of the call.</summary>
internal sealed class ThreadCaller(int thread, ulong notification, NotificationListener listener, OpenFiles files, AddressSpaces spaces) : ICaller
{
    private int _processId;

    /// <inheritdoc/>
    public int ProcessId => _processId != 0 ? _processId : _processId = FindProcess(thread);

    /// <inheritdoc/>
    public bool TryRead(ulong address, Span<byte> destination) => ProcessMemory.TryRead(thread, address, destination);

    /// <inheritdoc/>
    public bool TryWrite(ulong address, ReadOnlySpan<byte> source) => ProcessMemory.TryWrite(thread, address, source);

    /// <inheritdoc/>
    public FileDescriptor? CopyDescriptor(int descriptor)
    {
        using ProcessHandle? process = ProcessHandle.TryOpen(ProcessId, thread);
        return process?.TryCopyDescriptor(descriptor);
    }

    /// <inheritdoc/>
    public ServedFile? FileOf(int descriptor) => files.Find(thread, descriptor);

    /// <inheritdoc/>
    public int Install(ServedFile file)
    {
        using FileDescriptor descriptor = files.Add(file, path: null);
        return listener.AddDescriptor(notification, descriptor, isClosedOnExec: true, isAnswer: false);
    }

    /// <inheritdoc/>
    public DmaMemory? GetMemory(ulong address, ulong length, bool isWritten) => spaces.GetMemory(ProcessId, thread, address, length, isWritten);

    /// <inheritdoc/>
    public DmaMemory? GetBar(ulong address, ulong length) => BarMemory.Find(thread, address, length, files);

    /// <summary>The process that a thread is of.</summary>
    internal static int FindProcess(int thread)
    {
        const string Row = "Tgid:";
        try
        {
            foreach (string line in File.ReadLines($"/proc/{thread}/status"))
            {
                if (line.StartsWith(Row, StringComparison.Ordinal))
                    return int.Parse(line.AsSpan(Row.Length).Trim(), CultureInfo.InvariantCulture);
            }
        }
        catch (IOException)
        {
            // It has ended: nothing is found of it from now on.
        }

        return thread;
    }
}
