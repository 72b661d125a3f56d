using Vfio.Native;
using Vfio.Native.Files;
using Vfio.Native.Tracing;
using Vfio.Run.Interface;

namespace Vfio.Run.Tracing;

/// <summary>The files of the kernel's interface that programs have open, by the inodes that stand for them.</summary>
/// <remarks>Each open has an empty file of its own, so that dup(2), fork(2), passing and mapping are the kernel's business, and so is the
/// last close. Any thread may use it.</remarks>
internal sealed class OpenFiles : IDisposable
{
    private readonly Lock _lock = new();
    private readonly Lock _collecting = new();
    private readonly CloseWatch _watch;
    private readonly Dictionary<ulong, OpenFile> _byInode = [];
    private readonly Dictionary<int, ulong> _byWatch = [];
    private readonly List<ServedFile> _untilEnd = [];
    private readonly DeviceNumber _fileSystem;
    private volatile int _mappings;

    /// <summary>Makes its files in a folder of tmpfs.</summary>
    internal OpenFiles(string folder)
    {
        _watch = new CloseWatch(folder);
        _fileSystem = FileStatus.TryGet(folder, follow: true)?.FileSystem ?? default;
    }

    /// <summary>How often a program was let map one of them; what was found at an address before the last time may not be there.</summary>
    internal int Mappings => _mappings;

    /// <summary>Counts a mapping, before it is made.</summary>
    internal void CountMapping() => Interlocked.Increment(ref _mappings);

    /// <summary>Makes the file that a program gets for an open one. The caller closes the descriptor, once the program has it.</summary>
    /// <param name="file">The file; this object's from now on.</param>
    /// <param name="path">The device node that was opened; null for a file that another one gave.</param>
    /// <exception cref="VfioException">A limit is reached; the file is closed.</exception>
    internal FileDescriptor Add(ServedFile file, string? path)
    {
        // A file with content of its own tells nobody of its close.
        if (file.Content is { } content)
        {
            lock (_lock)
                _untilEnd.Add(file);
            return content.Duplicate();
        }

        try
        {
            lock (_lock)
            {
                FileDescriptor descriptor = _watch.Create(out int watch);
                ulong inode = FileStatus.Of(descriptor.Number).Inode;
                _byInode[inode] = new OpenFile(file, path);
                _byWatch[watch] = inode;
                return descriptor;
            }
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>The file that a descriptor of a program is.</summary>
    /// <returns>Null when it is another file, or none.</returns>
    internal ServedFile? Find(int thread, int descriptor) => StatusOf(thread, descriptor) is { } status ? Find(FileKey.Of(status)) : null;

    /// <summary>The file that a mapping of a program shows.</summary>
    internal ServedFile? Find(FileKey file) => FindOpen(file)?.File;

    /// <summary>What <see cref="Find(FileKey)"/> gives, and how it was opened.</summary>
    internal OpenFile? FindOpen(FileKey file)
    {
        if (file.FileSystem != _fileSystem)
            return null;
        lock (_lock)
            return _byInode.GetValueOrDefault(file.Inode);
    }

    /// <summary>What a descriptor of a program is, where it is on the file system of these files and of the run's tree; null elsewhere.</summary>
    internal FileStatus? StatusOf(int thread, int descriptor) =>
        FileStatus.TryGet($"/proc/{thread}/fd/{descriptor}", follow: true) is { } status && status.FileSystem == _fileSystem ? status : null;

    /// <summary>Closes the files that no program has any more. After this call, all that were left before it are closed.</summary>
    internal void CloseAbandoned()
    {
        lock (_collecting)
        {
            List<int> ended = [];
            _watch.TryTake(ended);
            foreach (int watch in ended)
            {
                OpenFile? file = null;
                lock (_lock)
                {
                    if (_byWatch.Remove(watch, out ulong inode))
                        _byInode.Remove(inode, out file);
                }

                file?.File.Dispose();
            }
        }
    }

    /// <summary>Waits until a file may have to be closed.</summary>
    /// <param name="end">Ends the wait when it is readable.</param>
    internal void WaitForClose(FileDescriptor end) => _watch.Wait(end);

    /// <summary>Closes all files that are left.</summary>
    public void Dispose()
    {
        CloseAbandoned();
        foreach (ServedFile file in (ServedFile[])[.. _byInode.Values.Select(open => open.File), .. _untilEnd])
            file.Dispose();
        _watch.Dispose();
    }
}

/// <summary>An open file of the kernel's interface.</summary>
/// <param name="File">The file.</param>
/// <param name="Path">The device node that was opened; null for a file that another one gave, as a group gives a device.</param>
internal sealed record OpenFile(ServedFile File, string? Path);
