using System.Buffers.Binary;
using Vfio.Native.Interop;
using Vfio.Native.Waiting;

namespace Vfio.Native.Tracing;

/// <summary>Makes files without a name, and tells when nobody has one of them any more: no descriptor, and no mapping.</summary>
/// <remarks>A file of tmpfs: inotify tells of its last close, which it does not for a file in memory. Any thread may use it.</remarks>
internal sealed unsafe class CloseWatch : IDisposable
{
    private const int EventBytes = 16, BufferBytes = 4096;
    private static readonly int O_TMPFILE = 0x40_0000 | LibC.O_DIRECTORY;
    private readonly FileDescriptor _watcher;
    private readonly string _folder;

    /// <summary>Watches files in a folder.</summary>
    /// <param name="folder">A folder of tmpfs.</param>
    /// <exception cref="VfioException">A limit is reached.</exception>
    internal CloseWatch(string folder)
    {
        _folder = folder;
        int number = TraceCalls.inotify_init1(TraceCalls.NonBlocking | TraceCalls.CloseOnExec);
        _watcher = number >= 0
            ? new FileDescriptor(number)
            : throw VfioException.FromLastError("watching files", "this user", "raise fs.inotify.max_user_instances, or end some programs");
    }

    /// <summary>Makes an empty file, and watches it.</summary>
    /// <param name="watch">The number by which <see cref="TryTake"/> names it.</param>
    /// <exception cref="VfioException">A limit is reached.</exception>
    internal FileDescriptor Create(out int watch)
    {
        int number = Interop.FileCalls.openat(LibC.AT_FDCWD, _folder, O_TMPFILE | LibC.O_RDWR | LibC.O_CLOEXEC, 0x180);
        if (number < 0)
            throw VfioException.FromLastError("making a file", _folder, "raise the limit on open files (ulimit -n)");
        FileDescriptor file = new(number);
        watch = TraceCalls.inotify_add_watch(_watcher.Number, $"/proc/self/fd/{number}", TraceCalls.CloseWritten | TraceCalls.CloseUnwritten);
        if (watch >= 0)
            return file;
        file.Dispose();
        throw VfioException.FromLastError("watching files", _folder, "raise fs.inotify.max_user_watches");
    }

    /// <summary>Takes the numbers of files that nobody has any more.</summary>
    /// <param name="closed">Receives them.</param>
    internal void TryTake(List<int> closed)
    {
        Span<byte> buffer = stackalloc byte[BufferBytes];
        while (true)
        {
            nint count;
            fixed (byte* to = buffer)
                count = LibC.read(_watcher.Number, to, BufferBytes);
            if (count <= 0)
                return;
            for (Span<byte> left = buffer[..(int)count]; left.Length >= EventBytes;)
            {
                if ((BinaryPrimitives.ReadUInt32LittleEndian(left[4..]) & (TraceCalls.CloseWritten | TraceCalls.CloseUnwritten)) != 0)
                    closed.Add(BinaryPrimitives.ReadInt32LittleEndian(left));
                left = left[(EventBytes + (int)BinaryPrimitives.ReadUInt32LittleEndian(left[12..]))..];
            }
        }
    }

    /// <summary>Forgets a file that was taken.</summary>
    internal void Forget(int watch) => _ = TraceCalls.inotify_rm_watch(_watcher.Number, watch);

    /// <summary>Waits until there is something to take, or for the end.</summary>
    /// <param name="end">Ends the wait when it is readable.</param>
    internal void Wait(FileDescriptor end)
    {
        Span<bool> ready = stackalloc bool[2];
        Poll.WaitAny([_watcher, end], ready, Timeout.InfiniteTimeSpan);
    }

    /// <inheritdoc/>
    public void Dispose() => _watcher.Dispose();
}
