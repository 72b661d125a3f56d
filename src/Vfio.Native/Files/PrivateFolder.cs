using System.Diagnostics;
using System.Globalization;
using Vfio.Native.Interop;

namespace Vfio.Native.Files;

/// <summary>A folder in memory that only this user may enter, and that is gone when this process is, however that ends.</summary>
/// <remarks>A killed process removes nothing. So a shell waits beside it for that; and who makes the next folder removes what was left
/// where the shell was killed too. A folder in use is locked (flock), by a descriptor that ends with its process.</remarks>
internal sealed class PrivateFolder : IDisposable
{
    private const string Place = "/dev/shm", Shell = "/bin/sh";

    // Signals of the terminal are not for the one who waits.
    private const string WaitAndRemove = "trap '' HUP INT QUIT TERM; read _; rm -rf -- \"$1\"";
    private static readonly TimeSpan TimeToEnd = TimeSpan.FromSeconds(10);
    private readonly FileDescriptor _lock;
    private readonly Process? _remover;

    private PrivateFolder(string path, FileDescriptor locked)
    {
        FullPath = path;
        _lock = locked;
        _remover = StartRemover(path);
    }

    /// <summary>Its path.</summary>
    internal string FullPath { get; }

    /// <summary>Makes one.</summary>
    /// <param name="purpose">The start of its name.</param>
    /// <exception cref="VfioException">There is no folder in memory here.</exception>
    internal static PrivateFolder Create(string purpose)
    {
        RemoveAbandoned(purpose);
        string path = Path.Combine(Place, string.Create(CultureInfo.InvariantCulture, $"{purpose}-{Environment.ProcessId}-{Guid.NewGuid():n}"));
        if (FileCalls.mkdir(path, 0x1c0) != 0)
            throw VfioException.FromLastError("making the folder", path, $"{Place} has to be a file system in memory that this user may write to");
        FileDescriptor? locked = TryLock(path);
        if (locked is not null)
            return new PrivateFolder(path, locked);
        Directory.Delete(path);
        throw VfioException.FromLastError("locking", path);
    }

    /// <summary>Removes it.</summary>
    public void Dispose()
    {
        Remove(FullPath);
        _lock.Dispose();
        if (_remover is null)
            return;
        _remover.StandardInput.Close();
        _remover.WaitForExit(TimeToEnd);
        _remover.Dispose();
    }

    private static Process? StartRemover(string path)
    {
        if (!File.Exists(Shell))
            return null;
        return Process.Start(new ProcessStartInfo(Shell, ["-c", WaitAndRemove, Shell, path])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true, // a reader of this process' output would wait for its end
            RedirectStandardError = true,
            WorkingDirectory = "/",
        });
    }

    private static void RemoveAbandoned(string purpose)
    {
        if (!Directory.Exists(Place))
            return;
        foreach (string path in Directory.EnumerateDirectories(Place, $"{purpose}-*"))
        {
            // Another user's, or one in use.
            if (FileStatus.TryGet(path, follow: false) is not { Kind: FileKind.Directory } status || status.UserId != UserAccount.CurrentId)
                continue;
            using FileDescriptor? locked = TryLock(path);
            if (locked is not null)
                Remove(path);
        }
    }

    private static FileDescriptor? TryLock(string path)
    {
        int number = LibC.open(path, LibC.O_RDONLY | LibC.O_DIRECTORY | LibC.O_NOFOLLOW | LibC.O_CLOEXEC);
        if (number < 0)
            return null;
        FileDescriptor folder = new(number);
        if (LibC.flock(number, LibC.LOCK_EX | LibC.LOCK_NB) == 0)
            return folder;
        folder.Dispose();
        return null;
    }

    private static void Remove(string path)
    {
        try
        {
            Directory.Delete(path, recursive: true);
        }
        catch (IOException)
        {
            // Removed by another, or by its own remover.
        }
    }
}
