using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Vfio.Native.Errors;
using Vfio.Native.Files;
using Vfio.Native.Interop;
using Vfio.Native.Memory;

namespace Vfio.Native;

/// <summary>A stretch of a file that this process shares with a device or with another process.</summary>
/// <remarks>
/// <para>The other side can change the bytes at any time, so they are copied out and in, never assigned; a value is read
/// exactly once. Every access is checked against the length by subtraction, so no sum can wrap.</para>
/// <para>The other side can also truncate the file, and a touch of a mapping past its end is a SIGBUS that ends the process.
/// So only files that cannot shrink are mapped; the others are reached with pread and pwrite, which say so in an errno. Memory of a
/// device can go away too, when it is removed: <see cref="MapWatched"/> makes that an error.</para>
/// <para>Any thread may use it. Dispose it after the last use: an access that races with it is the caller's bug.</para>
/// </remarks>
public sealed unsafe class SharedMemory : IDisposable
{
    // The flag of memory that is not watched is never set, so a check costs the same for all.
    private static readonly ulong* NeverLost = (ulong*)NativeMemory.AllocZeroed(sizeof(ulong));

    /// <summary>Size of the huge pages of <see cref="CreateHuge"/>, in bytes.</summary>
    public const ulong HugePageBytes = 2 << 20;

    private readonly FileDescriptor _file;
    private readonly byte* _base;
    private readonly ulong* _lost;
    private readonly string _owner = typeof(SharedMemory).FullName!;
    private ulong _length;

    private SharedMemory(FileDescriptor file, ulong fileOffset, ulong length, bool writable, byte* address, bool isWatched = false)
    {
        bool held = false;
        file.DangerousAddRef(ref held);
        _file = file;
        _base = address;
        _length = length;
        FileOffset = fileOffset;
        IsWritable = writable;
        ulong* watched = isWatched ? BusFaultGuard.Watch(address, length) : null;
        _lost = watched is null ? NeverLost : watched;
    }

    private SharedMemory(string owner)
    {
        _owner = owner;
        _file = new FileDescriptor();
        _lost = NeverLost;
    }

    /// <summary>The file; open for as long as this object is.</summary>
    public FileDescriptor File => _file;

    /// <summary>Where in <see cref="File"/> it starts, in bytes.</summary>
    public ulong FileOffset { get; }

    /// <summary>Size in bytes; 0 once disposed.</summary>
    public ulong Length => _length;

    /// <summary>Whether it may be written.</summary>
    public bool IsWritable { get; }

    /// <summary>Mapped, so that single accesses work and a copy costs no system call.</summary>
    public bool IsMapped => _base is not null;

    /// <summary>Whether an access found that memory is gone: what it read was nobody's, and what was written went nowhere. Only of memory
    /// that is watched.</summary>
    public bool IsLost
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Volatile.Read(ref *_lost) != 0;
    }

    /// <summary>Stands in for memory that may not be used any more: each access fails by the check of its range, which costs nothing more.
    /// </summary>
    /// <param name="owner">What the <see cref="ObjectDisposedException"/> of an access names.</param>
    internal static SharedMemory Closed(Type owner) => new(owner.FullName!);

    /// <summary>Makes a new sealed memory file and maps all of it.</summary>
    /// <param name="name">A name for <c>/proc/PID/maps</c>.</param>
    /// <param name="lengthBytes">Its size.</param>
    /// <exception cref="VfioException">No descriptors or no memory left.</exception>
    public static SharedMemory Create(string name, ulong lengthBytes)
    {
        using FileDescriptor file = MemoryFile.Create(name, lengthBytes);
        return Map(file, 0, lengthBytes, writable: true);
    }

    /// <summary>As <see cref="Create"/>, of huge pages.</summary>
    /// <param name="name">A name for <c>/proc/PID/maps</c>.</param>
    /// <param name="lengthBytes">Its size, a multiple of <see cref="HugePageBytes"/>.</param>
    /// <exception cref="VfioException">ENOMEM: too few are free.</exception>
    public static SharedMemory CreateHuge(string name, ulong lengthBytes)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(lengthBytes % HugePageBytes, 0ul);
        using FileDescriptor file = MemoryFile.Create(name, lengthBytes, LibC.MFD_HUGETLB | LibC.MFD_HUGE_2MB);
        try
        {
            // The pages are set aside now: a touch never finds that there are none.
            return Map(file, 0, lengthBytes, writable: true);
        }
        catch (VfioException refusal) when (refusal.Errno == Errno.NoMemory)
        {
            throw new VfioException(
                $"{lengthBytes / HugePageBytes} huge pages of 2 MiB", "this machine", Errno.NoMemory,
                "so many are not free; reserve more with 'sysctl vm.nr_hugepages=N', or do with ordinary pages");
        }
    }

    /// <summary>Shares part of a file that another process passed: mapped when the file cannot shrink, by pread and pwrite when it
    /// can.</summary>
    /// <param name="file">The file; held until this object is disposed.</param>
    /// <param name="fileOffset">Where the part starts, in bytes.</param>
    /// <param name="lengthBytes">Its size.</param>
    /// <param name="writable">Whether to ask for write access.</param>
    /// <param name="allowStalling">Whether to take a file too whose accesses wait for a process or another machine, such as one of FUSE or
    /// NFS: every thread that uses it may be held up for ever.</param>
    /// <exception cref="VfioException">EINVAL: not a regular file, or shorter than the part; EACCES: not opened for this; EPERM: it may stall,
    /// which is not allowed.</exception>
    public static SharedMemory Share(FileDescriptor file, ulong fileOffset, ulong lengthBytes, bool writable, bool allowStalling = false)
    {
        FileIdentity identity = FileIdentity.Of(file);
        string target = $"a shared file of {identity.LengthBytes} bytes";
        if (!identity.IsRegular)
            throw new VfioException("mapping", "a shared descriptor", Errno.InvalidArgument, "it is not a memory file");
        if (!allowStalling && FileSystemKind.MayStall(file, out string fileSystem))
        {
            throw new VfioException(
                "mapping", target, Errno.OperationNotPermitted, $"it is on {fileSystem}, where an access may wait for somebody for ever; use a memfd");
        }

        if (fileOffset > identity.LengthBytes || lengthBytes > identity.LengthBytes - fileOffset || lengthBytes == 0)
            throw new VfioException($"mapping of {lengthBytes} bytes at {fileOffset}", target, Errno.InvalidArgument);
        if (!identity.Readable || (writable && !identity.Writable))
            throw new VfioException("mapping", target, Errno.AccessDenied, "open it for reading and writing");
        return identity.CannotShrink
            ? Map(file, fileOffset, lengthBytes, writable)
            : new SharedMemory(file, fileOffset, lengthBytes, writable, null);
    }

    /// <summary>Maps part of a file, trusting whoever gave it not to truncate it: a region of a device, or memory of our own.</summary>
    /// <param name="file">The file; held until this object is disposed.</param>
    /// <param name="fileOffset">Where the part starts, in bytes; a multiple of the page size.</param>
    /// <param name="lengthBytes">Its size.</param>
    /// <param name="writable">Whether to map it for writing too.</param>
    /// <exception cref="VfioException">The kernel refused.</exception>
    public static SharedMemory Map(FileDescriptor file, ulong fileOffset, ulong lengthBytes, bool writable) =>
        Map(file, fileOffset, lengthBytes, writable, isWatched: false);

    /// <summary>As <see cref="Map(FileDescriptor, ulong, ulong, bool)"/>, for memory that can go away while it is mapped. Whoever accesses it looks at
    /// <see cref="IsLost"/> after; the copies return false then.</summary>
    /// <param name="file">The file; held until this object is disposed.</param>
    /// <param name="fileOffset">Where the part starts, in bytes; a multiple of the page size.</param>
    /// <param name="lengthBytes">Its size.</param>
    /// <param name="writable">Whether to map it for writing too.</param>
    /// <exception cref="VfioException">The kernel refused.</exception>
    public static SharedMemory MapWatched(FileDescriptor file, ulong fileOffset, ulong lengthBytes, bool writable) =>
        Map(file, fileOffset, lengthBytes, writable, isWatched: true);

    private static SharedMemory Map(FileDescriptor file, ulong fileOffset, ulong lengthBytes, bool writable, bool isWatched)
    {
        ArgumentNullException.ThrowIfNull(file);
        int protection = LibC.PROT_READ | (writable ? LibC.PROT_WRITE : 0);
        void* address = LibC.mmap(null, checked((nuint)lengthBytes), protection, LibC.MAP_SHARED, file.Number, checked((long)fileOffset));
        return (nint)address != -1
            ? new SharedMemory(file, fileOffset, lengthBytes, writable, (byte*)address, isWatched)
            : throw VfioException.FromLastError($"mmap of {lengthBytes} bytes at {fileOffset}", $"descriptor {file.Number}");
    }

    /// <summary>Copies bytes out.</summary>
    /// <returns>False when the range leaves the memory, or the file was truncated below it.</returns>
    public bool TryRead(ulong offset, Span<byte> destination)
    {
        if (!Contains(offset, (ulong)destination.Length))
            return false;
        if (_base is null)
            return ReadFile(offset, destination);
        new ReadOnlySpan<byte>(_base + offset, destination.Length).CopyTo(destination);
        return !IsLost;
    }

    /// <summary>Copies bytes in.</summary>
    /// <returns>False when the range leaves the memory, it is not writable, or the file was truncated below it.</returns>
    public bool TryWrite(ulong offset, ReadOnlySpan<byte> source)
    {
        if (!IsWritable || !Contains(offset, (ulong)source.Length))
            return false;
        if (_base is null)
            return WriteFile(offset, source);
        source.CopyTo(new Span<byte>(_base + offset, source.Length));
        return !IsLost;
    }

    /// <summary>Reads 8 bits in one access. The memory is mapped.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The offset leaves the memory.</exception>
    public byte Read8(ulong offset) => Volatile.Read(ref At<byte>(offset));

    /// <summary>Reads 16 bits in one access. The memory is mapped and the offset a multiple of 2.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The offset leaves the memory or is not aligned.</exception>
    public ushort Read16(ulong offset) => Volatile.Read(ref At<ushort>(offset));

    /// <summary>Reads 32 bits in one access. The memory is mapped and the offset a multiple of 4.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The offset leaves the memory or is not aligned.</exception>
    public uint Read32(ulong offset) => Volatile.Read(ref At<uint>(offset));

    /// <summary>Reads 64 bits in one access. The memory is mapped and the offset a multiple of 8.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The offset leaves the memory or is not aligned.</exception>
    public ulong Read64(ulong offset) => Volatile.Read(ref At<ulong>(offset));

    /// <summary>Writes 8 bits in one access, after every earlier write of this thread. The memory is mapped.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The offset leaves the memory.</exception>
    public void Write8(ulong offset, byte value) => Volatile.Write(ref At<byte>(offset), value);

    /// <summary>Writes 16 bits in one access, after every earlier write of this thread. The memory is mapped and the offset a multiple of 2.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The offset leaves the memory or is not aligned.</exception>
    public void Write16(ulong offset, ushort value) => Volatile.Write(ref At<ushort>(offset), value);

    /// <summary>Writes 32 bits in one access, after every earlier write of this thread. The memory is mapped and the offset a multiple of 4.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The offset leaves the memory or is not aligned.</exception>
    public void Write32(ulong offset, uint value) => Volatile.Write(ref At<uint>(offset), value);

    /// <summary>Writes 64 bits in one access, after every earlier write of this thread. The memory is mapped and the offset a multiple of 8.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The offset leaves the memory or is not aligned.</exception>
    public void Write64(ulong offset, ulong value) => Volatile.Write(ref At<ulong>(offset), value);

    /// <inheritdoc/>
    public void Dispose()
    {
        ulong length = Interlocked.Exchange(ref _length, 0);
        if (length == 0)
            return;
        if (_lost != NeverLost)
            BusFaultGuard.Unwatch(_lost);
        if (_base is not null)
            _ = LibC.munmap(_base, (nuint)length);
        _file.DangerousRelease();
    }

    /// <summary>Where part of the memory lies in this process, for a system call that copies it.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The part leaves the memory, or that is not mapped.</exception>
    internal byte* AddressOf(ulong offset, int count)
    {
        if (_base is null || count < 0 || !Contains(offset, (ulong)count))
            ThrowBadAccess(offset, count, alignment: 1);
        return _base + offset;
    }

    /// <summary>Where part of the memory lies in this process, for a system call that keeps it while this object is there.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The part starts behind the memory, or that is not mapped.</exception>
    internal ulong AddressOf(ulong offset) => (ulong)AddressOf(offset, 0);

    private bool Contains(ulong offset, ulong count) => offset <= _length && count <= _length - offset;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ref T At<T>(ulong offset)
        where T : unmanaged
    {
        if (_base is null || !Contains(offset, (ulong)sizeof(T)) || (offset & ((ulong)sizeof(T) - 1)) != 0)
            ThrowBadAccess(offset, sizeof(T), sizeof(T));
        // SAFETY: inside the mapping, which stays for as long as _length is not 0, and naturally aligned.
        return ref *(T*)(_base + offset);
    }

    private void ThrowBadAccess(ulong offset, int width, int alignment)
    {
        if (_length == 0)
            throw new ObjectDisposedException(_owner);
        string why = _base is null
            ? "has to be copied: the memory is not mapped, for its file could be truncated"
            : $"does not fit the memory of 0x{_length:x} bytes: {AllowedOffsets.For(width, (long)_length, alignment)}";
        throw new ArgumentOutOfRangeException(nameof(offset), $"a {width}-byte access at 0x{offset:x} {why}");
    }

    private bool ReadFile(ulong offset, Span<byte> destination)
    {
        while (destination.Length > 0)
        {
            nint count;
            fixed (byte* to = destination)
                count = LibC.pread(_file.Number, to, (nuint)destination.Length, (long)(FileOffset + offset));
            if (count <= 0)
                return false;
            destination = destination[(int)count..];
            offset += (ulong)count;
        }

        return true;
    }

    private bool WriteFile(ulong offset, ReadOnlySpan<byte> source)
    {
        // A write past the end would make the file grow again; the check keeps a truncated file truncated, and what
        // slips through between the two calls only lengthens the file of whoever shortened it.
        if (FileIdentity.Of(_file).LengthBytes < FileOffset + offset + (ulong)source.Length)
            return false;
        while (source.Length > 0)
        {
            nint count;
            fixed (byte* from = source)
                count = LibC.pwrite(_file.Number, from, (nuint)source.Length, (long)(FileOffset + offset));
            if (count <= 0)
                return false;
            source = source[(int)count..];
            offset += (ulong)count;
        }

        return true;
    }
}
