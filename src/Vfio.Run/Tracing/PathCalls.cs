using System.Buffers.Binary;
using System.Text;
using Vfio.Native;
using Vfio.Native.Files;
using Vfio.Native.Interop;
using Vfio.Native.Tracing;
using Vfio.Run.Interface;
using Vfio.Run.Tree;

namespace Vfio.Run.Tracing;

/// <summary>Answers system calls with a path, where the path is one of the run's own, and those that ask what a file of the interface is; the
/// kernel answers the others.</summary>
/// <remarks>Used by the thread that answers system calls.</remarks>
internal sealed class PathCalls(
    NotificationListener listener, ServedMachine machine, MachineTree tree, OpenFiles files, DriverAttributes attributes, WrittenFiles written, RunRecord record)
{
    private const int MaxPathBytes = 4096;
    private const int CurrentFolder = LibC.AT_FDCWD;
    private const int WriteBits = 0x92, NoTruncation = ~(0x200 | LibC.O_CREAT | LibC.O_EXCL);
    private const int OpenAppend = 0x400;
    private const uint NodeMode = (uint)FileKind.CharacterDevice | 0x1b6;

    // Offsets in struct stat of x86-64, and in struct statx.
    private const int StatFileSystem = 0, StatInode = 8, StatLinks = 16, StatMode = 24, StatNumber = 40, StatBlock = 56;
    private const int StatxMask = 0, StatxBlock = 4, StatxLinks = 16, StatxMode = 28, StatxInode = 32, StatxMajor = 128, StatxMinor = 132;
    private const int StatxFileSystemMajor = 136, StatxFileSystemMinor = 140;
    private const uint AnonymousMode = 0x180, BlockBytes = 4096;

    private readonly byte[] _buffer = new byte[MaxPathBytes];

    /// <summary>Answers a call.</summary>
    /// <returns>False when it is the kernel's to answer.</returns>
    internal bool TryAnswer(in Notification call)
    {
        PathCall asked = PathCall.Of(call);
        if (asked.MayBeOfDescriptor && HasNoPath(call.Thread, asked))
            return TryDescribe(call, asked);
        if (Find(call.Thread, asked) is not { } path)
            return false;
        if (asked.Kind == PathCallKind.Open)
            Open(call, asked, path);
        else
            listener.Answer(call.Id, Answer(call.Thread, asked, path));
        return true;
    }

    private bool HasNoPath(int thread, in PathCall asked) =>
        asked.PathAddress == 0 || (ProcessMemory.TryRead(thread, asked.PathAddress, _buffer.AsSpan(0, 1)) && _buffer[0] == 0);

    /// <summary>Answers what a descriptor is: a device node that was opened is what its path is, and a file that another one gave is an
    /// anonymous one, of no type, as the kernel's.</summary>
    private bool TryDescribe(in Notification call, in PathCall asked)
    {
        if (files.StatusOf(call.Thread, asked.Folder) is not { } status)
            return false;
        OpenFile? open = files.FindOpen(FileKey.Of(status));
        string? path = open is null ? NodeOf(call.Thread, asked.Folder) : open.Path;
        if (open is null && path is null)
            return false;

        // A node may be gone by now: its function was unbound.
        bool isNode = path is not null && tree.IsNode(path, out _);
        listener.Answer(call.Id, isNode ? Answer(call.Thread, asked, path!) : DescribeAnonymous(call.Thread, asked, status));
        return true;
    }

    /// <summary>The device node that a descriptor is, which was opened to name it only (O_PATH).</summary>
    private string? NodeOf(int thread, int descriptor) =>
        new FileInfo($"/proc/{thread}/fd/{descriptor}").LinkTarget is { } link && tree.NameOf(link) is { } path && tree.IsNode(path, out _) ? path : null;

    /// <summary>The path in the tree that a call is about; null when it is another.</summary>
    private string? Find(int thread, in PathCall asked)
    {
        int length = ProcessMemory.TryReadText(thread, asked.PathAddress, _buffer);
        if (length <= 0)
            return null;
        ReadOnlySpan<byte> bytes = _buffer.AsSpan(0, length);
        if (bytes[0] != '/')
            return FindBelow(thread, asked.Folder, bytes);
        return bytes.StartsWith("/sys"u8) || bytes.StartsWith("/dev"u8) || bytes.IndexOf("//"u8) >= 0 || bytes.IndexOf("/."u8) >= 0
            ? FindIn(Encoding.UTF8.GetString(bytes))
            : null;
    }

    private string? FindBelow(int thread, int folder, ReadOnlySpan<byte> relative)
    {
        string link = folder == CurrentFolder ? $"/proc/{thread}/cwd" : $"/proc/{thread}/fd/{folder}";
        string? place = new FileInfo(link).LinkTarget;
        if (place is null)
            return null;
        if (tree.NameOf(place) is { } known)
            return Path.Combine(known, Encoding.UTF8.GetString(relative));
        bool isNear = place == "/" || place.StartsWith("/sys", StringComparison.Ordinal) || place.StartsWith("/dev", StringComparison.Ordinal);
        return isNear ? FindIn(Path.Combine(place, Encoding.UTF8.GetString(relative))) : null;
    }

    private string? FindIn(string path) => tree.Has(path, out string inTree) ? inTree : null;

    private void Open(in Notification call, in PathCall asked, string path)
    {
        FileDescriptor? opened = null;
        Errno error = tree.IsNode(Path.GetFullPath(path), out _)
            ? OpenNode(call.Thread, Path.GetFullPath(path), asked, out opened)
            : OpenFile(call.Thread, path, asked, out opened);
        if (opened is null)
        {
            listener.Answer(call.Id, -(long)error);
            return;
        }

        using (opened)
        {
            int number = listener.AddDescriptor(call.Id, opened, (asked.Flags & LibC.O_CLOEXEC) != 0, isAnswer: true);
            if (number < 0)
                listener.Answer(call.Id, number);
        }
    }

    private Errno OpenNode(int thread, string path, in PathCall asked, out FileDescriptor? opened)
    {
        opened = null;
        if ((asked.Flags & LibC.O_PATH) != 0)
            return OpenFile(thread, path, asked, out opened);
        if ((asked.Flags & LibC.O_DIRECTORY) != 0)
            return Errno.NotDirectory;

        // What the program closed before this call is closed.
        files.CloseAbandoned();
        Errno error = machine.Open(path, out ServedFile? file);
        if (file is not null)
            opened = files.Add(file, path);
        if (record.IsLogged)
            record.Add($"open {path} = {-(int)error}");
        return error;
    }

    /// <summary>Opens a file of the machine's own functions. The kernel asks who opens it, and that is this process: a program that gave up its
    /// rights gets what everybody may have.</summary>
    private Errno OpenOrdinary(int thread, string path, in PathCall asked, out FileDescriptor? opened)
    {
        const uint Readable = 4, Writable = 2;
        RootedFolder machine = tree.FilesFor(path, out string there);
        int flags = asked.Flags & NoTruncation & ~LibC.O_PATH;
        if (!CallerRights.AreOurs(thread))
        {
            Errno error = machine.Open(there, LibC.O_PATH | (flags & LibC.O_NOFOLLOW), out opened);
            if (opened is null)
                return error;
            int access = flags & LibC.O_ACCMODE;
            uint needed = (access == LibC.O_WRONLY ? 0 : Readable) | (access == LibC.O_RDONLY ? 0 : Writable);
            uint mode = FileStatus.TryOf(opened.Number)?.Mode ?? 0;
            opened.Dispose();
            opened = null;
            if ((mode & needed) != needed)
                return Errno.AccessDenied;
        }

        return machine.Open(there, flags, out opened);
    }

    private Errno OpenFile(int thread, string path, in PathCall asked, out FileDescriptor? opened)
    {
        if (tree.IsOrdinary(path))
            return OpenOrdinary(thread, path, asked, out opened);

        // A descriptor that only names a file cannot be given: the program gets one that reads it.
        if ((asked.Flags & LibC.O_PATH) != 0)
            return tree.Files.Open(path, asked.Flags & (LibC.O_DIRECTORY | LibC.O_NOFOLLOW), out opened);

        // As sysfs does for root, who may write to any other file.
        bool isWritten = (asked.Flags & LibC.O_ACCMODE) != LibC.O_RDONLY;
        if (isWritten && tree.StatusOf(path) is { Kind: FileKind.Regular } status && (status.Mode & WriteBits) == 0)
        {
            opened = null;
            return Errno.AccessDenied;
        }

        if (isWritten && tree.Resolve(path) is { } attribute && attributes.Has(attribute))
            return written.Open(attribute, asked.Flags & (LibC.O_ACCMODE | OpenAppend), out opened);
        if (path.EndsWith("/config", StringComparison.Ordinal) && tree.Resolve(path) is { } shown && attributes.FindConfig(shown) is { } facts)
            attributes.RefreshConfig(facts);
        return tree.Files.Open(path, asked.Flags & NoTruncation, out opened);
    }

    private long Answer(int thread, in PathCall asked, string path)
    {
        string there;
        switch (asked.Kind)
        {
            case PathCallKind.ReadLink:
                Span<byte> target = stackalloc byte[MaxPathBytes];
                long length = tree.FilesFor(path, out there).ReadLink(there, target[..(int)Math.Min(MaxPathBytes, asked.BufferBytes)]);
                return length < 0 || ProcessMemory.TryWrite(thread, asked.BufferAddress, target[..(int)length]) ? length : -(long)Errno.BadAddress;
            case PathCallKind.Access:
                return -(long)tree.FilesFor(path, out there).CheckAccess(there, asked.Follows, asked.Mode);
            case PathCallKind.Attributes:
                return -(long)Errno.NotSupported;
            case PathCallKind.Status:
                Span<byte> status = stackalloc byte[RootedFolder.StatusBytes];
                return Give(thread, asked, status, Describe(path, asked, status));
            default:
                Span<byte> extended = stackalloc byte[RootedFolder.ExtendedStatusBytes];
                return Give(thread, asked, extended, DescribeMore(path, asked, extended));
        }
    }

    private static long Give(int thread, in PathCall asked, ReadOnlySpan<byte> bytes, Errno error)
    {
        if (error == Errno.None && !ProcessMemory.TryWrite(thread, asked.BufferAddress, bytes))
            error = Errno.BadAddress;
        return -(long)error;
    }

    private Errno Describe(string path, in PathCall asked, Span<byte> status)
    {
        Errno error = tree.FilesFor(path, out string there).GetStatus(there, asked.Follows, status);
        if (error == Errno.None && tree.IsNode(Path.GetFullPath(path), out DeviceNumber number))
        {
            BinaryPrimitives.WriteUInt32LittleEndian(status[StatMode..], NodeMode);
            BinaryPrimitives.WriteUInt64LittleEndian(status[StatNumber..], NumberOf(number));
        }

        return error;
    }

    private Errno DescribeMore(string path, in PathCall asked, Span<byte> status)
    {
        Errno error = tree.FilesFor(path, out string there).GetExtendedStatus(there, asked.Follows, (uint)asked.Mode, status);
        if (error == Errno.None && tree.IsNode(Path.GetFullPath(path), out DeviceNumber number))
        {
            BinaryPrimitives.WriteUInt16LittleEndian(status[StatxMode..], (ushort)NodeMode);
            BinaryPrimitives.WriteUInt32LittleEndian(status[StatxMajor..], number.Major);
            BinaryPrimitives.WriteUInt32LittleEndian(status[StatxMinor..], number.Minor);
        }

        return error;
    }

    /// <summary>What <c>anon_inode_getfile</c> of the kernel makes: a file with a mode and no type.</summary>
    private static long DescribeAnonymous(int thread, in PathCall asked, FileStatus file)
    {
        if (asked.Kind == PathCallKind.Status)
        {
            Span<byte> status = stackalloc byte[RootedFolder.StatusBytes];
            status.Clear();
            BinaryPrimitives.WriteUInt64LittleEndian(status[StatFileSystem..], NumberOf(file.FileSystem));
            BinaryPrimitives.WriteUInt64LittleEndian(status[StatInode..], file.Inode);
            BinaryPrimitives.WriteUInt64LittleEndian(status[StatLinks..], 1);
            BinaryPrimitives.WriteUInt32LittleEndian(status[StatMode..], AnonymousMode);
            BinaryPrimitives.WriteUInt64LittleEndian(status[StatBlock..], BlockBytes);
            return Give(thread, asked, status, Errno.None);
        }

        Span<byte> extended = stackalloc byte[RootedFolder.ExtendedStatusBytes];
        extended.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(extended[StatxMask..], LibC.STATX_BASIC_STATS);
        BinaryPrimitives.WriteUInt32LittleEndian(extended[StatxBlock..], BlockBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(extended[StatxLinks..], 1);
        BinaryPrimitives.WriteUInt16LittleEndian(extended[StatxMode..], (ushort)AnonymousMode);
        BinaryPrimitives.WriteUInt64LittleEndian(extended[StatxInode..], file.Inode);
        BinaryPrimitives.WriteUInt32LittleEndian(extended[StatxFileSystemMajor..], file.FileSystem.Major);
        BinaryPrimitives.WriteUInt32LittleEndian(extended[StatxFileSystemMinor..], file.FileSystem.Minor);
        return Give(thread, asked, extended, Errno.None);
    }

    // As glibc's makedev, of numbers that have no upper halves.
    private static ulong NumberOf(DeviceNumber number) => (number.Major << 8) | (number.Minor & 0xff) | ((ulong)(number.Minor & ~0xffu) << 12);
}
