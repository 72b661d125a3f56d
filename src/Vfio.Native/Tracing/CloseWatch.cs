using System.Buffers.Binary;
using System.Globalization;
using Vfio.Native.Interop;
using Vfio.Native.Waiting;

namespace Vfio.Native.Tracing;

/// <summary>Makes files without a name, and tells when nobody has one of them any more: no descriptor, and no mapping.</summary>
/// <remarks>A file of tmpfs: inotify tells of the end of a file there, which it does not for a file in memory. Any thread may use it.</remarks>
internal sealed unsafe class CloseWatch : IDisposable
{
    private const int EventBytes = 16, BufferBytes = 4096;
    private static readonly int O_TMPFILE = 0x40_0000 | LibC.O_DIRECTORY;
    private readonly FileDescriptor _watcher;
    private readonly string _folder;
    private readonly Lock _lock = new();
    private readonly HashSet<int> _watched = [];

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
        watch = TraceCalls.inotify_add_watch(_watcher.Number, $"/proc/self/fd/{number}", TraceCalls.DeletedItself);
        if (watch < 0)
        {
            file.Dispose();
            throw VfioException.FromLastError("watching files", _folder, "raise fs.inotify.max_user_watches");
        }

        lock (_lock)
            _watched.Add(watch);
        return file;
    }

    /// <summary>Takes the numbers of files that nobody has any more.</summary>
    /// <param name="ended">Receives them, each once.</param>
    internal void TryTake(List<int> ended)
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
                // The kernel ends a watch with its file.
                uint events = BinaryPrimitives.ReadUInt32LittleEndian(left[4..]);
                if ((events & TraceCalls.WatchEnded) != 0)
                    Take(BinaryPrimitives.ReadInt32LittleEndian(left), ended);
                else if ((events & TraceCalls.EventsLost) != 0)
                    TakeMissing(ended);
                left = left[(EventBytes + (int)BinaryPrimitives.ReadUInt32LittleEndian(left[12..]))..];
            }
        }
    }

    /// <summary>Waits until there is something to take, or for the end.</summary>
    /// <param name="end">Ends the wait when it is readable.</param>
    internal void Wait(FileDescriptor end)
    {
        Span<bool> ready = stackalloc bool[2];
        Poll.WaitAny([_watcher, end], ready, Timeout.InfiniteTimeSpan);
    }

    /// <inheritdoc/>
    public void Dispose() => _watcher.Dispose();

    private void Take(int watch, List<int> ended)
    {
        lock (_lock)
        {
            if (_watched.Remove(watch))
                ended.Add(watch);
        }
    }

    /// <summary>Takes those that the kernel watches no more, where it could not tell of all.</summary>
    private void TakeMissing(List<int> ended)
    {
        const string Row = "inotify wd:";
        int[] known;
        lock (_lock)
            known = [.. _watched];
        HashSet<int> living = [];
        foreach (string line in File.ReadLines($"/proc/self/fdinfo/{_watcher.Number}"))
        {
            if (!line.StartsWith(Row, StringComparison.Ordinal))
                continue;
            ReadOnlySpan<char> number = line.AsSpan(Row.Length, line.IndexOf(' ', Row.Length) - Row.Length);
            living.Add(int.Parse(number, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
        }

        foreach (int watch in known.Where(watch => !living.Contains(watch)))
            Take(watch, ended);
    }
}
