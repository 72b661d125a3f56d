using System.Runtime.InteropServices;
using Vfio.Native.Files;
using Vfio.Native.Interop;

namespace Vfio.Native.Sockets;

/// <summary>Where a socket's file lies: a directory, by descriptor, and a name in it.</summary>
/// <remarks>
/// <para>The directory may belong to a user whom root does not trust, and two servers may want the place at once. So a file is made,
/// given its mode and its owner in a folder that nobody else may enter, and then linked to where it is wanted, which never replaces
/// anything; a stale one is looked at and removed, and one's own at the end, under a lock (flock) of the directory.</para>
/// <para>Every process that may read the directory can hold that lock. It is waited for no longer than <see cref="LongestLock"/>.</para>
/// </remarks>
internal sealed unsafe class SocketPlace : IDisposable
{
    /// <summary>Who may connect, by convention: the owner and the group.</summary>
    internal const UnixFileMode UserAndGroup =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite;

    private const string Inside = "s";
    private const int NoBacklog = -1;
    private static readonly TimeSpan LongestLock = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan LongestAnswer = TimeSpan.FromSeconds(1);
    private readonly FileDescriptor _directory;
    private readonly string _name;
    private FileStatus? _ours;

    private SocketPlace(string path, FileDescriptor directory, string name) => (Path, _directory, _name) = (path, directory, name);

    /// <summary>The path as it was given.</summary>
    internal string Path { get; }

    /// <summary>Finds a place.</summary>
    /// <exception cref="VfioException">Clients could not name it (EINVAL), or its directory is not there.</exception>
    internal static SocketPlace Find(string path)
    {
        _ = new UnixAddress(path);
        string name = System.IO.Path.GetFileName(path);
        if (name.Length == 0 || name is "." or "..")
            throw new VfioException("listen", path, Errno.InvalidArgument, "this names a directory; name a socket in it");
        try
        {
            return new SocketPlace(path, SafePath.OpenDirectory(System.IO.Path.GetDirectoryName(path) ?? "/"), name);
        }
        catch (VfioException refusal) when (refusal.Errno == Errno.NoEntry)
        {
            throw new VfioException("listen", path, Errno.NoEntry, "make its directory first, or choose another path");
        }
    }

    /// <summary>Takes it that the file that lies there now is the caller's, who has its socket open.</summary>
    internal void Own() => _ours = FileStatus.Of(_directory, _name) is { Kind: FileKind.Socket } there ? there : null;

    /// <summary>Puts a socket there that listens.</summary>
    /// <param name="socket">Not bound yet.</param>
    /// <param name="backlog">How many clients may wait.</param>
    /// <param name="mode">Permission bits of the file.</param>
    /// <param name="owner">The owner that the file gets; null to leave it.</param>
    /// <exception cref="VfioException">EADDRINUSE: something is there that may not be replaced; EBUSY: no lock was to be had to replace a
    /// stale socket; or why not.</exception>
    internal void Listen(FileDescriptor socket, int backlog, UnixFileMode mode, UserAccount? owner)
    {
        // Where nothing is no lock is needed: the link replaces nothing, and of several only the first succeeds.
        if (FileStatus.Of(_directory, _name) is null)
        {
            Put(socket, backlog, mode, owner);
            return;
        }

        using Lock held = new(_directory, LongestLock);
        RemoveStale(held.IsHeld);
        Put(socket, backlog, mode, owner);
    }

    /// <summary>Puts a socket there that does not listen: a datagram socket. Otherwise as <see cref="Listen"/>.</summary>
    internal void Bind(FileDescriptor socket, UnixFileMode mode) => Listen(socket, NoBacklog, mode, owner: null);

    /// <summary>Removes the caller's file, while its socket is still open; another's stays.</summary>
    internal void Remove()
    {
        if (_ours is not { } ours)
            return;
        _ours = null;

        // Without the lock too: a file there is another one only if this file was removed by hand.
        using Lock held = new(_directory, LongestAnswer);
        if (FileStatus.Of(_directory, _name) is { } there && there.IsSameFile(ours))
            _ = LibC.unlinkat(_directory.Number, _name, 0);
    }

    /// <inheritdoc/>
    public void Dispose() => _directory.Dispose();

    private void Put(FileDescriptor socket, int backlog, UnixFileMode mode, UserAccount? owner)
    {
        string folderName = $".vfio-{System.IO.Path.GetRandomFileName()}";
        if (LibC.mkdirat(_directory.Number, folderName, 0x1c0) != 0)
            throw VfioException.FromLastError("listen", Path, "this user has to be able to make files in its directory");
        try
        {
            int number = LibC.openat(_directory.Number, folderName, LibC.O_PATH | LibC.O_DIRECTORY | LibC.O_NOFOLLOW | LibC.O_CLOEXEC);
            if (number < 0)
                throw VfioException.FromLastError("listen", Path);
            using FileDescriptor folder = new(number);
            ListenIn(folder, socket, backlog, mode, owner);
        }
        finally
        {
            // It is empty: what another process put in its place is removed only if that is an empty folder too.
            _ = LibC.unlinkat(_directory.Number, folderName, LibC.AT_REMOVEDIR);
        }
    }

    private void ListenIn(FileDescriptor folder, FileDescriptor socket, int backlog, UnixFileMode mode, UserAccount? owner)
    {
        // Only its owner can enter and change a folder of this mode: from here on names are safe.
        FileStatus made = FileStatus.Of(folder.Number);
        if (made.UserId != UserAccount.CurrentId || (made.Mode & 0x3f) != 0)
            throw new VfioException("listen", Path, Errno.AccessDenied, "another process changed its directory meanwhile");
        UnixAddress address = new($"/proc/self/fd/{folder.Number}/{Inside}");
        try
        {
            if (LibC.bind(socket.Number, &address, UnixAddress.Length) != 0
                || LibC.fchmodat(folder.Number, Inside, (uint)mode, 0) != 0
                || (backlog != NoBacklog && LibC.listen(socket.Number, backlog) != 0))
                throw VfioException.FromLastError("listen", Path);
            if (owner is { } user && LibC.fchownat(folder.Number, Inside, user.UserId, user.GroupId, LibC.AT_SYMLINK_NOFOLLOW) != 0)
                throw VfioException.FromLastError($"giving to {user.Name}", Path, "only root may give files away");
            FileStatus? ours = FileStatus.Of(folder, Inside);
            if (LibC.linkat(folder.Number, Inside, _directory.Number, _name, 0) != 0)
            {
                throw Marshal.GetLastPInvokeError() == (int)Errno.Exists
                    ? InUse("another server came first")
                    : VfioException.FromLastError("listen", Path);
            }

            _ours = ours;
        }
        finally
        {
            _ = LibC.unlinkat(folder.Number, Inside, 0);
        }
    }

    /// <summary>Removes a socket without a listener, or throws what else is in the way.</summary>
    private void RemoveStale(bool isLocked)
    {
        if (FileStatus.Of(_directory, _name) is not { } there)
            return;
        switch (there.Kind)
        {
            case FileKind.Socket when !IsLiving(there):
                if (!isLocked)
                    throw new VfioException("listen", Path, Errno.Busy, "a stale socket is there, and another process keeps the directory locked (flock)");
                if (LibC.unlinkat(_directory.Number, _name, 0) != 0)
                    throw VfioException.FromLastError("removing the stale socket", Path, "this user may not; remove it, or choose another path");
                return;
            case FileKind.Socket:
                throw InUse("a server listens there; choose another path");
            case FileKind.Directory:
                throw InUse("it is a directory; name a file in it");
            case FileKind.SymbolicLink:
                throw InUse($"it is a symbolic link (to {SafePath.TargetOf(_directory, _name)}), in place of which no socket is put; name its target, or remove it");
            case FileKind.Fifo:
                throw InUse("it is a FIFO; choose another path, or remove it");
            case FileKind.Regular:
                throw InUse("it is a file with data; choose another path, or remove it");
            default:
                throw InUse("it is a device node; choose another path");
        }
    }

    /// <summary>Whether a process listens at a socket's file, by its descriptor.</summary>
    private bool IsLiving(FileStatus there)
    {
        int number = LibC.openat(_directory.Number, _name, LibC.O_PATH | LibC.O_NOFOLLOW | LibC.O_CLOEXEC);
        if (number < 0)
            throw VfioException.FromLastError("listen", Path);
        using SocketFile file = SocketFile.Of(new FileDescriptor(number));
        if (!FileStatus.Of(number).IsSameFile(there))
            throw InUse("another process changes it");
        try
        {
            UnixSocket.Connect(file, Path, LongestAnswer).Dispose();
            return true;
        }
        catch (VfioException refusal) when (refusal.Errno == Errno.ConnectionRefused)
        {
            return false;
        }
        catch (VfioException)
        {
            // Its queue is full, it is of another kind, or this user may not connect: it lives, if badly.
            return true;
        }
    }

    private VfioException InUse(string why) => new("listen", Path, Errno.AddressInUse, why);

    /// <summary>The lock of a directory.</summary>
    private readonly ref struct Lock
    {
        private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(5);
        private readonly FileDescriptor? _descriptor;

        internal Lock(FileDescriptor directory, TimeSpan longest)
        {
            // One that may not be read cannot be locked; there the kernel's own check, that a link replaces nothing, has to do.
            int number = LibC.openat(directory.Number, ".", LibC.O_RDONLY | LibC.O_DIRECTORY | LibC.O_CLOEXEC);
            IsHeld = true;
            if (number < 0)
                return;
            _descriptor = new FileDescriptor(number);
            long end = Environment.TickCount64 + (long)longest.TotalMilliseconds;
            while (LibC.flock(number, LibC.LOCK_EX | LibC.LOCK_NB) != 0)
            {
                // A file system without locks has to do without one.
                IsHeld = Marshal.GetLastPInvokeError() is not ((int)Errno.TryAgain or (int)Errno.Interrupted);
                if (IsHeld || Environment.TickCount64 >= end)
                    return;
                Thread.Sleep(Pause);
                IsHeld = true;
            }
        }

        internal bool IsHeld { get; }

        public void Dispose() => _descriptor?.Dispose();
    }
}
