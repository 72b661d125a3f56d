using System.Runtime.InteropServices;
using Vfio.Native.Interop;

namespace Vfio.Native.Files;

/// <summary>A folder of small files that only its owner changes. Files are reached by the folder's descriptor and never through a link.</summary>
/// <remarks>Modes do not depend on the umask: 0755 for the folder, 0644 for a file. One thread at a time.</remarks>
internal sealed class RecordFolder : IDisposable
{
    private const string LockName = ".lock";
    private const uint FolderMode = 0x1ed, FileMode = 0x1a4, LockMode = 0x180, WritableByOthers = 0x12;
    private readonly FileDescriptor _folder;
    private readonly string _path;
    private FileDescriptor? _lock;

    private RecordFolder(FileDescriptor folder, string path)
    {
        _folder = folder;
        _path = path;
    }

    /// <summary>Opens a folder; null when there is none.</summary>
    /// <exception cref="VfioException">ENOTDIR or ELOOP: it is no folder; EPERM: it belongs to another user.</exception>
    public static RecordFolder? Open(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        int opened = FileCalls.openat(
            LibC.AT_FDCWD, path, LibC.O_RDONLY | LibC.O_DIRECTORY | LibC.O_NOFOLLOW | LibC.O_CLOEXEC, 0);
        if (opened >= 0)
            return Check(new FileDescriptor(opened), path);
        return (Errno)Marshal.GetLastPInvokeError() == Errno.NoEntry
            ? null
            : throw VfioException.FromLastError("opening the folder of records", path, "remove what is there");
    }

    /// <summary>Opens a folder to write to, and makes it first where there is none. One that others may write to is closed to them.</summary>
    /// <exception cref="VfioException">The same, and what mkdir(2) refuses.</exception>
    public static RecordFolder OpenOrCreate(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        if (FileCalls.mkdir(path, FolderMode) != 0 && Marshal.GetLastPInvokeError() is int error && (Errno)error != Errno.Exists)
            throw new VfioException("making the folder of records", path, (Errno)error);
        RecordFolder records = Open(path) ?? throw new VfioException("opening the folder of records", path, Errno.NoEntry);
        if ((FileStatus.Of(records._folder.Number).Mode & WritableByOthers) != 0)
            _ = FileCalls.fchmod(records._folder.Number, FolderMode);
        return records;
    }

    /// <summary>Reads a file; null when there is none that this owner wrote, or it is longer than it may be.</summary>
    /// <param name="name">Its name, without a folder.</param>
    /// <param name="maxBytes">How long it may be.</param>
    public unsafe byte[]? Read(string name, int maxBytes)
    {
        int opened = FileCalls.openat(_folder.Number, name, LibC.O_RDONLY | LibC.O_NOFOLLOW | LibC.O_NONBLOCK | LibC.O_CLOEXEC, 0);
        if (opened < 0)
            return null;
        using FileDescriptor file = new(opened);
        FileStatus status = FileStatus.Of(opened);
        if (status.Kind != FileKind.Regular || !IsTrusted(status.UserId) || status.Length > (ulong)maxBytes)
            return null;
        byte[] bytes = new byte[maxBytes];
        fixed (byte* start = bytes)
        {
            nint length = LibC.pread(opened, start, (nuint)maxBytes, 0);
            return length >= 0 ? bytes[..(int)length] : null;
        }
    }

    /// <summary>Writes a file whole or not at all; what had its name before is replaced.</summary>
    /// <exception cref="VfioException">What the file system refused, for example ENOSPC.</exception>
    public unsafe void Replace(string name, ReadOnlySpan<byte> content)
    {
        string temporary = $".{name}.new";
        _ = FileCalls.unlinkat(_folder.Number, temporary, 0);
        int opened = FileCalls.openat(
            _folder.Number, temporary, LibC.O_WRONLY | LibC.O_CREAT | LibC.O_EXCL | LibC.O_NOFOLLOW | LibC.O_CLOEXEC, FileMode);
        if (opened < 0)
            throw Refusal(name);
        using FileDescriptor file = new(opened);
        fixed (byte* start = content)
        {
            if (FileCalls.fchmod(opened, FileMode) == 0
                && LibC.write(opened, start, (nuint)content.Length) == content.Length
                && FileCalls.renameat(_folder.Number, temporary, _folder.Number, name) == 0)
            {
                return;
            }
        }

        VfioException refusal = Refusal(name);
        _ = FileCalls.unlinkat(_folder.Number, temporary, 0);
        throw refusal;
    }

    /// <summary>Removes a file, or nothing.</summary>
    /// <exception cref="VfioException">What the file system refused.</exception>
    public void Delete(string name)
    {
        if (FileCalls.unlinkat(_folder.Number, name, 0) != 0 && (Errno)Marshal.GetLastPInvokeError() != Errno.NoEntry)
            throw VfioException.FromLastError("removing", $"{_path}/{name}");
    }

    /// <summary>Locks the folder until this object is disposed.</summary>
    /// <remarks>By a file that no other user can open, so that no other user can keep it locked.</remarks>
    /// <exception cref="VfioException">EAGAIN: another process has it locked.</exception>
    public void Lock()
    {
        int opened = OpenLock();
        if (opened >= 0 && !IsLockFile(FileStatus.Of(opened)))
        {
            _ = LibC.close(opened);
            _ = FileCalls.unlinkat(_folder.Number, LockName, 0);
            opened = OpenLock();
        }

        if (opened < 0)
            throw Refusal(LockName);
        FileDescriptor file = new(opened);

        // Who unlocks removes the file: one that was removed meanwhile locks nothing.
        if (LibC.flock(opened, LibC.LOCK_EX | LibC.LOCK_NB) != 0 || FileStatus.Of(opened).Links == 0)
        {
            file.Dispose();
            throw new VfioException("locking", _path, Errno.TryAgain, "another process binds or releases functions now");
        }

        _lock = file;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_lock is not null)
        {
            _ = FileCalls.unlinkat(_folder.Number, LockName, 0);
            _lock.Dispose();
        }

        _folder.Dispose();
    }

    private static bool IsLockFile(FileStatus status) => status.Kind == FileKind.Regular && IsTrusted(status.UserId) && (status.Mode & ~LockMode) == 0;

    private int OpenLock() => FileCalls.openat(
        _folder.Number, LockName, LibC.O_RDWR | LibC.O_CREAT | LibC.O_NOFOLLOW | LibC.O_NONBLOCK | LibC.O_CLOEXEC, LockMode);

    private static bool IsTrusted(uint user) => user == 0 || user == UserAccount.CurrentId;

    private static RecordFolder Check(FileDescriptor folder, string path)
    {
        FileStatus status = FileStatus.Of(folder.Number);
        if (!IsTrusted(status.UserId))
        {
            folder.Dispose();
            throw new VfioException("using the folder of records", path, Errno.OperationNotPermitted, "it belongs to another user; remove it");
        }

        return new RecordFolder(folder, path);
    }

    private VfioException Refusal(string name) => VfioException.FromLastError("writing", $"{_path}/{name}");
}
