using Vfio.Native;
using Vfio.Native.Tracing;
using Vfio.Run.Interface;

namespace Vfio.Run.Tracing;

/// <summary>The address spaces of programs that gave devices memory, one descriptor each.</summary>
/// <remarks>Used by the thread that answers system calls.</remarks>
internal sealed class AddressSpaces(OpenFiles files, RunRecord record) : IDisposable
{
    private readonly Dictionary<int, SharedAddressSpace> _byProcess = [];

    /// <summary>Memory of a process.</summary>
    /// <param name="processId">The process.</param>
    /// <param name="thread">A thread of it that is there: the first one may have ended.</param>
    /// <param name="address">First address.</param>
    /// <param name="length">How many bytes.</param>
    /// <param name="isWritten">Whether a device may write it.</param>
    /// <returns>Memory with one reference; null when a part of the range is not mapped, or not so.</returns>
    internal ProgramMemory? GetMemory(int processId, int thread, ulong address, ulong length, bool isWritten)
    {
        if (!AddressMap.Allows(thread, address, length, isWritten, file => files.Find(file) is null) || Find(processId, thread, address) is not { } space)
            return null;
        space.AddReference();
        return new ProgramMemory(space, processId, address, length, isWritten, record);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (SharedAddressSpace space in _byProcess.Values)
            space.Release();
        _byProcess.Clear();
    }

    private SharedAddressSpace? Find(int processId, int thread, ulong address)
    {
        // One that another program of the same number left, or this one before an exec, reads nothing any more.
        Span<byte> probe = stackalloc byte[1];
        if (_byProcess.TryGetValue(processId, out SharedAddressSpace? known))
        {
            if (known.File.Read(address, probe) == Errno.None)
                return known;
            _byProcess.Remove(processId);
            known.Release();
        }

        if (AddressSpaceFile.Open(thread) is not { } file)
            return null;
        SharedAddressSpace opened = new(file);
        _byProcess.Add(processId, opened);
        return opened;
    }
}
