using Vfio.Native.Files;
using Vfio.Native.Interop;

namespace Vfio.Native.Tracing;

/// <summary>A page that programs map, and write numbers of 4 bytes to, which are taken from it by who looks. While it is closed an access to
/// it is a fault (SIGBUS). No number is lost, whenever it opens or closes.</summary>
/// <remarks>
/// <para>A file of tmpfs, of one page while it is open and of no byte while it is closed: that is so for all mappings at once. Who
/// takes a number leaves all ones in its place, in one access of the processor.</para>
/// <para>What was written just before it was closed is in a page that nobody can reach any more; a pipe that holds the page keeps it
/// until it is read. One thread at a time may use it.</para>
/// </remarks>
internal sealed unsafe class PolledPage : IDisposable
{
    private const int Bytes = 4096, Numbers = Bytes / sizeof(uint);
    private const uint None = uint.MaxValue;
    private static readonly int O_TMPFILE = 0x40_0000 | LibC.O_DIRECTORY;
    private static readonly byte[] Nothing = [.. Enumerable.Repeat(byte.MaxValue, Bytes)];
    private readonly FileDescriptor _file;
    private readonly FileDescriptor _pipeEnd;
    private readonly FileDescriptor _pipeStart;
    private readonly uint* _memory;

    /// <summary>Makes a closed page.</summary>
    /// <param name="folder">A folder of tmpfs.</param>
    /// <exception cref="VfioException">A limit is reached.</exception>
    internal PolledPage(string folder)
    {
        int number = FileCalls.openat(LibC.AT_FDCWD, folder, O_TMPFILE | LibC.O_RDWR | LibC.O_CLOEXEC, 0x180);
        if (number < 0)
            throw VfioException.FromLastError("making a file", folder, "raise the limit on open files (ulimit -n)");
        _file = new FileDescriptor(number);
        int* pair = stackalloc int[2];
        if (TraceCalls.pipe2(pair, TraceCalls.CloseOnExec | TraceCalls.NonBlocking) != 0)
        {
            VfioException refusal = VfioException.FromLastError("making a pipe", folder, "raise the limit on open files (ulimit -n)");
            _file.Dispose();
            throw refusal;
        }

        (_pipeEnd, _pipeStart) = (new FileDescriptor(pair[0]), new FileDescriptor(pair[1]));
        void* memory = LibC.mmap(null, Bytes, LibC.PROT_READ | LibC.PROT_WRITE, LibC.MAP_SHARED, number, 0);
        if ((nint)memory == -1)
        {
            VfioException refusal = VfioException.FromLastError("mapping", folder);
            DisposeFiles();
            throw refusal;
        }

        _memory = (uint*)memory;
        File = FileKey.Of(FileStatus.Of(number));
    }

    /// <summary>What mappings of it show.</summary>
    internal FileKey File { get; }

    /// <summary>The file; this object's.</summary>
    internal FileDescriptor Descriptor => _file;

    /// <summary>Whether it is open.</summary>
    internal bool IsOpen { get; private set; }

    /// <summary>Opens it, with no number in it.</summary>
    /// <returns>False when there is no memory for it.</returns>
    internal bool TryOpen()
    {
        if (IsOpen)
            return true;

        // The file has its length once its content is there.
        fixed (byte* nothing = Nothing)
            IsOpen = LibC.pwrite(_file.Number, nothing, Bytes, 0) == Bytes;
        return IsOpen;
    }

    /// <summary>Takes the numbers that are there.</summary>
    /// <param name="take">Gets the offset of each, and the number.</param>
    /// <returns>Whether there was one.</returns>
    internal bool Take(Action<int, uint> take)
    {
        bool isFound = false;
        for (int i = 0; IsOpen && i < Numbers; i++)
        {
            if (Volatile.Read(ref _memory[i]) == None)
                continue;
            uint number = Interlocked.Exchange(ref _memory[i], None);
            isFound = true;
            take(i * sizeof(uint), number);
        }

        return isFound;
    }

    /// <summary>Closes it, and takes what is left; it stays open where the kernel has no memory for that.</summary>
    internal void Close(Action<int, uint> take)
    {
        if (!IsOpen)
            return;
        LibC.IoVector page = new() { Base = _memory, Length = Bytes };
        if (TraceCalls.vmsplice(_pipeStart.Number, &page, 1, 0) != Bytes)
            return;
        IsOpen = false;
        _ = LibC.ftruncate(_file.Number, 0);
        uint* left = stackalloc uint[Numbers];
        if (LibC.read(_pipeEnd.Number, left, Bytes) != Bytes)
            return;
        for (int i = 0; i < Numbers; i++)
        {
            if (left[i] != None)
                take(i * sizeof(uint), left[i]);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        IsOpen = false;
        _ = LibC.ftruncate(_file.Number, 0);
        _ = LibC.munmap(_memory, Bytes);
        DisposeFiles();
    }

    private void DisposeFiles()
    {
        _file.Dispose();
        _pipeEnd.Dispose();
        _pipeStart.Dispose();
    }
}
