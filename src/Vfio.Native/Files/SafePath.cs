using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Vfio.Native.Interop;

namespace Vfio.Native.Files;

/// <summary>Opens directories and files for root without being led astray: a symbolic link counts only if root made it.</summary>
/// <remarks>Who owns a directory can put a link in place of anything in it, at any time. So the path is walked a step at a time, each by
/// the descriptor of the one before. For other users the kernel's own walk does: it cannot lead to where they may not go.</remarks>
internal static unsafe class SafePath
{
    private const string Opening = "opening the directory";
    private const int MaxLinks = 40, MaxTargetBytes = 4096;
    private const uint PrivateMode = 0x180;
    private static readonly int PathFlags = LibC.O_PATH | LibC.O_NOFOLLOW | LibC.O_CLOEXEC;

    /// <summary>Opens a directory, to name files in it (O_PATH).</summary>
    /// <exception cref="VfioException">ENOENT, ENOTDIR, EACCES: the kernel refused; ELOOP: a link of another user is on the way.</exception>
    internal static FileDescriptor OpenDirectory(string path)
    {
        string whole = Path.GetFullPath(path.Length == 0 ? "." : path);
        if (!UserAccount.IsRoot)
            return Open(LibC.AT_FDCWD, whole, LibC.O_PATH | LibC.O_DIRECTORY | LibC.O_CLOEXEC, whole);
        FileDescriptor found = Walk(whole);
        if (FileStatus.Of(found.Number).Kind == FileKind.Directory)
            return found;
        found.Dispose();
        throw new VfioException(Opening, whole, Errno.NotDirectory, "choose another path");
    }

    /// <summary>Finds what root is about to use by a path of its descriptor, of any kind (O_PATH).</summary>
    /// <exception cref="VfioException">ENOENT, ENOTDIR: the kernel refused; ELOOP: a link of another user is on the way.</exception>
    internal static FileDescriptor Find(string path) => Walk(WholeOf(path));

    // The kernel would follow any link; so each step is opened by itself, from the one before.
    private static FileDescriptor Walk(string whole)
    {
        FileDescriptor here = Open(LibC.AT_FDCWD, "/", PathFlags, whole);
        try
        {
            Stack<string> steps = new(Steps(whole));
            for (int links = 0; steps.TryPop(out string? step);)
            {
                FileDescriptor next = Open(here.Number, step, PathFlags, whole);
                if (FileStatus.Of(next.Number).Kind == FileKind.SymbolicLink)
                {
                    string target = Follow(next, whole, ref links);
                    foreach (string part in Steps(target))
                        steps.Push(part);
                    next = target.StartsWith('/') ? Open(LibC.AT_FDCWD, "/", PathFlags, whole) : here;
                }

                if (next != here)
                    here.Dispose();
                here = next;
            }

            return here;
        }
        catch (VfioException)
        {
            here.Dispose();
            throw;
        }
    }

    /// <summary>Opens a file to be read whose name nobody else can give to another file: the last step is no link, its folder is looked at by
    /// the descriptor by which it is opened, and no FIFO is waited for.</summary>
    /// <param name="path">The file.</param>
    /// <param name="folder">Its folder.</param>
    /// <exception cref="VfioException">The kernel refused; ELOOP: it is a symbolic link.</exception>
    internal static FileDescriptor OpenFile(string path, out FileStatus folder)
    {
        string whole = Path.GetFullPath(path);
        using FileDescriptor directory = OpenDirectory(Path.GetDirectoryName(whole) ?? "/");
        folder = FileStatus.Of(directory.Number);
        int number = LibC.openat(
            directory.Number, Path.GetFileName(whole), LibC.O_RDONLY | LibC.O_NOFOLLOW | LibC.O_NONBLOCK | LibC.O_CLOEXEC);
        return number >= 0
            ? new FileDescriptor(number)
            : throw VfioException.FromLastError("opening", whole, "check the path, and who may read it; a symbolic link is not followed");
    }

    /// <summary>Opens a regular file as <see cref="OpenFile"/> does; anything else is refused.</summary>
    /// <exception cref="VfioException">The kernel refused; EINVAL: it is no regular file, or no path; ELOOP: it is a symbolic
    /// link.</exception>
    internal static SafeFileHandle OpenRegular(string path)
    {
        using FileDescriptor file = OpenFile(WholeOf(path), out _);
        ThrowUnlessRegular(file, path);
        return Handle(file);
    }

    /// <summary>Makes a regular file, or empties the one that is there, with the care of <see cref="OpenFile"/>. Root empties no file that
    /// has a second name: anybody may have given it that.</summary>
    /// <exception cref="VfioException">The kernel refused; EINVAL: it is no regular file, or no path; ELOOP: it is a symbolic
    /// link.</exception>
    internal static SafeFileHandle CreateRegular(string path) => Create(path, isPrivate: false);

    /// <summary>As <see cref="CreateRegular"/>, for what only its owner may read, and one process writes at a time: the file gets mode 0600,
    /// belongs to this user, and is locked (flock) until it is closed.</summary>
    /// <exception cref="VfioException">As there; EACCES: it belongs to another user; EBUSY: it is locked. It is as it was then.</exception>
    internal static SafeFileHandle CreatePrivate(string path) => Create(path, isPrivate: true);

    private static SafeFileHandle Create(string path, bool isPrivate)
    {
        string whole = WholeOf(path);
        using FileDescriptor directory = OpenDirectory(Path.GetDirectoryName(whole) ?? "/");
        int flags = LibC.O_WRONLY | LibC.O_CREAT | LibC.O_NOFOLLOW | LibC.O_NONBLOCK | LibC.O_CLOEXEC;
        int number = FileCalls.openat(directory.Number, Path.GetFileName(whole), flags, isPrivate ? PrivateMode : 0x1b6u);
        if (number < 0)
            throw VfioException.FromLastError("creating", whole, "give the path of a regular file; a symbolic link is not followed");
        using FileDescriptor file = new(number);
        FileStatus status = ThrowUnlessRegular(file, path);
        if (UserAccount.IsRoot && status.Links > 1)
        {
            throw new VfioException(
                "creating", whole, Errno.AccessDenied, "it has a second name (a hard link), and root does not empty such a file");
        }

        if (isPrivate)
            MakePrivate(file, status, whole);
        return LibC.ftruncate(number, 0) == 0 ? Handle(file) : throw VfioException.FromLastError("creating", whole);
    }

    private static void MakePrivate(FileDescriptor file, FileStatus status, string whole)
    {
        // An owner can read the file, whatever its mode.
        if (status.UserId != LibC.geteuid())
        {
            throw new VfioException(
                "creating", whole, Errno.AccessDenied, $"it belongs to user {status.UserId}, who could read it; remove it, or choose another file");
        }

        // A file system without locks is no reason to refuse.
        if (LibC.flock(file.Number, LibC.LOCK_EX | LibC.LOCK_NB) != 0 && (Errno)Marshal.GetLastPInvokeError() == Errno.TryAgain)
            throw new VfioException("creating", whole, Errno.Busy, "another process writes it (flock); choose another file");
        if (FileCalls.fchmod(file.Number, PrivateMode) != 0)
            throw VfioException.FromLastError("creating", whole, "only its owner may read it, and its mode cannot be set");
    }

    /// <summary>Where a symbolic link leads.</summary>
    /// <param name="directory">Where it is; or the link itself, opened with O_PATH.</param>
    /// <param name="name">Its name there; empty for the link itself.</param>
    internal static string TargetOf(FileDescriptor directory, string name)
    {
        byte* target = stackalloc byte[MaxTargetBytes];
        nint count = LibC.readlinkat(directory.Number, name, target, MaxTargetBytes);
        return count > 0 ? Encoding.UTF8.GetString(target, (int)count) : "?";
    }

    private static string WholeOf(string path)
    {
        try
        {
            return Path.GetFullPath(path);
        }
        catch (ArgumentException)
        {
            throw new VfioException("opening", path, Errno.InvalidArgument, "write the path of a file");
        }
    }

    private static FileStatus ThrowUnlessRegular(FileDescriptor file, string path)
    {
        FileStatus status = FileStatus.Of(file.Number);
        return status.Kind == FileKind.Regular
            ? status
            : throw new VfioException("opening", path, Errno.InvalidArgument, "it is no regular file; a FIFO or a device may wait for ever");
    }

    private static SafeFileHandle Handle(FileDescriptor file)
    {
        SafeFileHandle handle = new(file.Number, ownsHandle: true);
        file.SetHandleAsInvalid();
        return handle;
    }

    private static string Follow(FileDescriptor link, string whole, ref int links)
    {
        using (link)
        {
            string target = TargetOf(link, "");
            uint owner = FileStatus.Of(link.Number).UserId;
            if (owner == 0 && ++links <= MaxLinks)
                return target;
            throw new VfioException(
                Opening, whole, Errno.TooManyLinks,
                owner == 0 ? "its links go in circles" : $"a link of user {owner} is on the way, which root does not follow");
        }
    }

    // The last one first, for a stack: it is pushed in this order.
    private static IEnumerable<string> Steps(string path) =>
        path.Split('/', StringSplitOptions.RemoveEmptyEntries).Where(step => step != ".").Reverse();

    private static FileDescriptor Open(int directory, string name, int flags, string whole)
    {
        int number = LibC.openat(directory, name, flags);
        return number >= 0
            ? new FileDescriptor(number)
            : throw VfioException.FromLastError(Opening, whole, "make it first, or choose another path");
    }
}
