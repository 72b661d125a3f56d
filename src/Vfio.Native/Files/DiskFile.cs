using System.Runtime.InteropServices;
using Vfio.Native.Interop;

namespace Vfio.Native.Files;

/// <summary>A file, or a block device, that is a disk: read and written at offsets, never grown, and made durable by a call whose failure
/// is seen.</summary>
/// <remarks>Any thread may use it. Nothing throws once it is open: each call says with which errno the kernel refused. It is closed when
/// it is disposed and the last call under way has returned.</remarks>
internal sealed unsafe class DiskFile : IDisposable
{
    private const string DeviceOpener = "opening as a disk";
    private const int UsualBlockBytes = 512;
    private readonly FileDescriptor _file;
    private readonly bool _isDevice;
    private long _shortest;
    private volatile bool _cannotTell;

    private DiskFile(FileDescriptor file, string path, bool isDevice, bool isReadOnly)
    {
        _file = file;
        Path = path;
        _isDevice = isDevice;
        IsReadOnly = isReadOnly;
        (Length, BlockBytes) = isDevice ? MeasureDevice() : (LengthNow(), UsualBlockBytes);
        _shortest = Length;
    }

    /// <summary>Its path as it was given.</summary>
    public string Path { get; }

    /// <summary>Whether it was opened to be read only.</summary>
    public bool IsReadOnly { get; }

    /// <summary>Size in bytes when it was opened; it never grows beyond.</summary>
    public long Length { get; }

    /// <summary>Size of a block in bytes: a device's logical block, 512 for a file.</summary>
    public int BlockBytes { get; }

    /// <summary>Opens a regular file or a block device, whatever else the path may name; never waits, and has no effect on it.</summary>
    /// <param name="path">The path; links are followed.</param>
    /// <param name="isReadOnly">Opens it for reading alone.</param>
    /// <exception cref="VfioException">EINVAL: it is neither; EBUSY: a block device that is mounted, or that somebody else has for
    /// himself; else why the kernel refuses.</exception>
    public static DiskFile Open(string path, bool isReadOnly)
    {
        ArgumentNullException.ThrowIfNull(path);

        // What it is, before it is opened: to open a FIFO may wait for ever, and a device may do what it likes.
        using FileDescriptor place = OpenOrThrow(path, LibC.O_PATH, path, isReadOnly: true);
        FileKind kind = FileStatus.Of(place.Number).Kind;
        if (kind is not (FileKind.Regular or FileKind.BlockDevice))
            throw new VfioException(DeviceOpener, path, Errno.InvalidArgument, $"it is {Describe(kind)}, and neither a file nor a block device");
        bool isDevice = kind == FileKind.BlockDevice;
        string same = $"/proc/self/fd/{place.Number}";

        // O_EXCL on a block device is refused while it is mounted, or held by another that said the same. Readers share it.
        int exclusive = isDevice ? LibC.O_EXCL : 0;
        int access = isReadOnly ? LibC.O_RDONLY : LibC.O_RDWR;
        FileDescriptor file = OpenOrThrow(same, access | exclusive | LibC.O_NONBLOCK, path, isReadOnly);
        if (isDevice && isReadOnly)
        {
            file.Dispose();
            file = OpenOrThrow(same, access | LibC.O_NONBLOCK, path, isReadOnly);
        }

        try
        {
            return new DiskFile(file, path, isDevice, isReadOnly);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Takes it for this process until it is closed: alone, or with others that only read. A lock that it has becomes the new one.</summary>
    /// <remarks>Advisory: it is seen by processes that lock files too, by flock(2), where it is shared with readers, or by fcntl(2), as
    /// QEMU does.</remarks>
    /// <param name="holder">The process that has the lock, when the kernel reports it; null when not.</param>
    /// <returns>False when another has it.</returns>
    /// <exception cref="VfioException">The file system has no locks.</exception>
    public bool TryLock(out int? holder) => TryLock(IsReadOnly, out holder);

    /// <summary>As <see cref="TryLock(out int?)"/>, shared or not as the caller likes.</summary>
    public bool TryLock(bool isShared, out int? holder) => FileLocks.TryTake(_file, Path, isShared, out holder);

    /// <summary>Reads bytes, all of them.</summary>
    /// <returns>EIO where the file has been cut off since it was opened; else why the kernel refused.</returns>
    public Errno Read(long offset, Span<byte> destination)
    {
        if (!IsThere(offset, destination.Length))
            return Errno.InputOutput;
        bool held = false;
        try
        {
            if (!TryHold(ref held))
                return Errno.BadDescriptor;
            fixed (byte* start = destination)
            {
                for (int done = 0; done < destination.Length;)
                {
                    nint count = LibC.pread(_file.Number, start + done, (nuint)(destination.Length - done), offset + done);
                    if (count > 0)
                        done += (int)count;
                    else if (count == 0)
                        return NoteEnd();
                    else if ((Errno)Marshal.GetLastPInvokeError() is not Errno.Interrupted and Errno error)
                        return error;
                }
            }

            return Errno.None;
        }
        finally
        {
            if (held)
                _file.DangerousRelease();
        }
    }

    /// <summary>As <see cref="Read"/>, of bytes that the kernel has in memory.</summary>
    /// <returns>EAGAIN where it would have to wait for the medium; where the file system cannot tell, it waits.</returns>
    public Errno TryRead(long offset, Span<byte> destination)
    {
        if (_cannotTell)
            return Read(offset, destination);
        if (!IsThere(offset, destination.Length))
            return Errno.InputOutput;
        bool held = false;
        try
        {
            if (!TryHold(ref held))
                return Errno.BadDescriptor;
            fixed (byte* start = destination)
            {
                LibC.IoVector vector = new() { Base = start, Length = (nuint)destination.Length };
                nint count = LibC.preadv2(_file.Number, &vector, 1, offset, LibC.RWF_NOWAIT);
                if (count == destination.Length)
                    return Errno.None;
                if (count < 0 && (Errno)Marshal.GetLastPInvokeError() is not (Errno.TryAgain or Errno.Interrupted))
                    _cannotTell = true;
            }
        }
        finally
        {
            if (held)
                _file.DangerousRelease();
        }

        // What the kernel had only in part is read again, with all else, by whoever can wait.
        return _cannotTell ? Read(offset, destination) : Errno.TryAgain;
    }

    /// <summary>Writes bytes, all of them; they are durable after <see cref="Flush"/>.</summary>
    /// <returns>EIO where the file has been cut off since it was opened: a write never grows it. Else why the kernel refused; some of the
    /// bytes may then be written.</returns>
    public Errno Write(long offset, ReadOnlySpan<byte> source)
    {
        bool held = false;
        try
        {
            if (!TryHold(ref held))
                return Errno.BadDescriptor;

            // Read before and after: a truncation in between is seen after, and the write is no success.
            int length = source.Length;
            if (!IsThere(offset, length) || !HoldsStill())
                return Errno.InputOutput;
            fixed (byte* start = source)
            {
                for (int done = 0; done < source.Length;)
                {
                    nint count = LibC.pwrite(_file.Number, start + done, (nuint)(source.Length - done), offset + done);
                    if (count > 0)
                        done += (int)count;
                    else if (count == 0)
                        return Errno.NoSpace;
                    else if ((Errno)Marshal.GetLastPInvokeError() is not Errno.Interrupted and Errno error)
                        return error;
                }
            }

            return HoldsStill() ? Errno.None : Errno.InputOutput;

            bool HoldsStill() => _isDevice || (NoteLength() && IsThere(offset, length));
        }
        finally
        {
            if (held)
                _file.DangerousRelease();
        }
    }

    /// <summary>Makes bytes zeros, without writing them: fallocate(2).</summary>
    /// <param name="offset">The first.</param>
    /// <param name="length">How many.</param>
    /// <param name="isDiscarded">Whether a file gives their place back, as a hole; else it keeps it for a later write.</param>
    /// <returns>ENOTSUP where the file system cannot do it; EIO where the file has been cut off since it was opened; else why the kernel
    /// refused.</returns>
    public Errno Zero(long offset, long length, bool isDiscarded)
    {
        bool held = false;
        try
        {
            if (!TryHold(ref held))
                return Errno.BadDescriptor;
            if (!IsThere(offset, length) || !(_isDevice || (NoteLength() && IsThere(offset, length))))
                return Errno.InputOutput;
            int mode = LibC.FALLOC_FL_KEEP_SIZE | (isDiscarded ? LibC.FALLOC_FL_PUNCH_HOLE : LibC.FALLOC_FL_ZERO_RANGE);
            while (LibC.fallocate(_file.Number, mode, offset, length) != 0)
            {
                Errno error = (Errno)Marshal.GetLastPInvokeError();
                if (error != Errno.Interrupted)
                    return error;
            }

            return _isDevice || (NoteLength() && IsThere(offset, length)) ? Errno.None : Errno.InputOutput;
        }
        finally
        {
            if (held)
                _file.DangerousRelease();
        }
    }

    /// <summary>Makes what was written durable: fsync(2).</summary>
    /// <returns>Why it is not; EIO where the file has been cut off since it was opened. The kernel tells of a failure once, and may then have dropped what it could not write: a later success
    /// says nothing about it.</returns>
    public Errno Flush()
    {
        bool held = false;
        try
        {
            if (!TryHold(ref held))
                return Errno.BadDescriptor;
            while (LibC.fsync(_file.Number) != 0)
            {
                Errno error = (Errno)Marshal.GetLastPInvokeError();
                if (error != Errno.Interrupted)
                    return error;
            }

            return _isDevice || (NoteLength() && IsThere(0, Length)) ? Errno.None : Errno.InputOutput;
        }
        finally
        {
            if (held)
                _file.DangerousRelease();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private static FileDescriptor OpenOrThrow(string path, int flags, string named, bool isReadOnly)
    {
        int number = LibC.open(path, flags | LibC.O_CLOEXEC);
        if (number >= 0)
            return new FileDescriptor(number);
        Errno error = (Errno)Marshal.GetLastPInvokeError();
        const int ReadOnlyFileSystem = 30, TextBusy = 26;
        string? hint = error switch
        {
            Errno.AccessDenied or Errno.OperationNotPermitted or (Errno)ReadOnlyFileSystem or (Errno)TextBusy when !isReadOnly =>
                "it may not be written here; with readonly=1 it is a disk that is only read",
            Errno.Busy => "it is mounted, or another process has it for itself",
            _ => null,
        };
        throw new VfioException(DeviceOpener, named, error, hint);
    }

    private static string Describe(FileKind kind) => kind switch
    {
        FileKind.Directory => "a directory",
        FileKind.Fifo => "a FIFO",
        FileKind.Socket => "a socket",
        FileKind.CharacterDevice => "a character device",
        _ => "of another kind",
    };

    private (long Length, int BlockBytes) MeasureDevice()
    {
        ulong length = 0;
        int block = 0;
        int isProtected = 0;
        if (LibC.ioctl(_file.Number, LibC.BLKGETSIZE64, &length) != 0 || LibC.ioctl(_file.Number, LibC.BLKSSZGET, &block) != 0)
            throw VfioException.FromLastError("asking for its size", Path);
        if (!IsReadOnly && LibC.ioctl(_file.Number, LibC.BLKROGET, &isProtected) == 0 && isProtected != 0)
            throw new VfioException(DeviceOpener, Path, Errno.OperationNotPermitted, "the device is write protected; give readonly=1");
        return ((long)Math.Min(length, long.MaxValue), block);
    }

    /// <summary>Keeps the file open for a call.</summary>
    /// <returns>False when it is closed already.</returns>
    private bool TryHold(ref bool held)
    {
        try
        {
            _file.DangerousAddRef(ref held);
            return true;
        }
        catch (ObjectDisposedException)
        {
            return false;
        }
    }

    private long LengthNow() => (long)FileIdentity.Locate(_file).LengthBytes;

    /// <summary>Whether a range is inside of what the file has had all the time: what was cut off and came back is lost.</summary>
    private bool IsThere(long offset, long count) => offset >= 0 && offset <= Volatile.Read(ref _shortest) - count;

    private bool NoteLength()
    {
        if (FileStatus.TryOf(_file.Number) is not { } status)
            return false;
        NoteShortest((long)status.Length);
        return true;
    }

    private Errno NoteEnd()
    {
        if (!_isDevice)
            NoteLength();
        return Errno.InputOutput;
    }

    private void NoteShortest(long length)
    {
        long before = Volatile.Read(ref _shortest);
        while (length < before)
        {
            long found = Interlocked.CompareExchange(ref _shortest, length, before);
            if (found == before)
                return;
            before = found;
        }
    }
}
