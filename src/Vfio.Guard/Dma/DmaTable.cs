using System.Runtime.CompilerServices;
using Vfio.Providers;

namespace Vfio.Guard.Dma;

/// <summary>The memory that a device may use, by address: the guard's IOMMU.</summary>
/// <remarks>
/// <para>Made for tens of thousands of live mappings. A look-up is two short binary searches, or none when the last access of the
/// thread was in the same mapping. Accesses of several threads run in parallel and allocate nothing.</para>
/// <para>When an unmap returns, no access to that memory is under way. Memory that only its owner can reach is the exception:
/// see <see cref="Unmap(Iova, ulong, out ulong)"/>.</para>
/// </remarks>
internal sealed partial class DmaTable
{
    /// <summary>Page size in bytes. Addresses and lengths are multiples of it.</summary>
    public const ulong PageBytes = 4096;

    /// <summary>Default limit of the number of mappings.</summary>
    public const int DefaultMaxMappings = 65_535;

    /// <summary>Longest copy in one step, in bytes; an unmap waits for at most this.</summary>
    private const int MaxCopyBytes = 64 << 10;

    private readonly ReaderLock _lock = new();
    private readonly OwnerAccesses _ownerAccesses = new();
    private readonly int _maxMappings;
    private DmaChunks _chunks = new();
    private volatile DirtyLog? _log;

    /// <summary>Makes an empty table.</summary>
    /// <param name="maxMappings">The limit of the number of mappings.</param>
    public DmaTable(int maxMappings = DefaultMaxMappings)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(maxMappings);
        _maxMappings = maxMappings;
    }

    /// <summary>How many mappings there are now.</summary>
    public int Count => _chunks.Count;

    /// <summary>Adds a mapping and takes a reference to its memory.</summary>
    /// <returns>EEXIST: part of the range is mapped already. EINVAL: start or length is no multiple of <see cref="PageBytes"/>, the
    /// length is 0, the range or its place in the memory wraps or leaves the memory, or no access is allowed. ENOMEM: the table is
    /// full.</returns>
    public Errno Map(in DmaMapping mapping)
    {
        ArgumentNullException.ThrowIfNull(mapping.Memory);
        if (!IsRange(mapping.Start.Value, mapping.Length) || mapping.Access is DmaAccess.None or > DmaAccess.ReadWrite)
            return Errno.InvalidArgument;
        ulong end = mapping.Memory.Shared?.Length ?? ulong.MaxValue;
        if (mapping.MemoryOffset > end || mapping.Length > end - mapping.MemoryOffset)
            return Errno.InvalidArgument;
        DmaEntry entry = new(mapping);
        _lock.EnterWrite();
        try
        {
            if (_chunks.Overlaps(mapping.Start.Value, mapping.Start.Value + (mapping.Length - 1)))
                return Errno.Exists;
            if (_chunks.Count >= _maxMappings)
                return Errno.NoMemory;
            mapping.Memory.AddReference();
            _chunks.Add(mapping.Start.Value, entry);
            return Errno.None;
        }
        finally
        {
            _lock.ExitWrite();
        }
    }

    /// <summary>Removes the mappings in a range and releases their memory.</summary>
    /// <remarks>Accesses to memory that only its owner can reach are waited for, at most a quarter of a second; an unmap from inside such
    /// an access does not wait.</remarks>
    /// <param name="start">First address.</param>
    /// <param name="length">Size of the range in bytes.</param>
    /// <param name="unmapped">How many bytes were mapped.</param>
    /// <returns>EINVAL: the range would cut a mapping, is not made of pages, or wraps; nothing is removed. ENOENT: nothing is mapped in
    /// it.</returns>
    public Errno Unmap(Iova start, ulong length, out ulong unmapped)
    {
        unmapped = 0;
        if (!IsRange(start.Value, length))
            return Errno.InvalidArgument;
        ulong last = start.Value + (length - 1);
        List<DmaMemory>? others = null;
        DmaMemory? first;
        _lock.EnterWrite();
        try
        {
            if (Cuts(start.Value, last))
                return Errno.InvalidArgument;
            first = _chunks.Remove(start.Value, last, ref others, out unmapped);
        }
        finally
        {
            _lock.ExitWrite();
        }

        if (first is null)
            return Errno.NoEntry;
        _ownerAccesses.WaitOutside(start.Value, last);
        first.Release();
        others?.ForEach(memory => memory.Release());
        return Errno.None;
    }

    /// <summary>Removes every mapping.</summary>
    public void Clear()
    {
        DmaChunks? old = null;
        _lock.EnterAsWriter();
        if (_chunks.Count > 0)
        {
            _lock.ShutReadersOut();
            (old, _chunks) = (_chunks, new DmaChunks());
        }

        _lock.ExitWrite();
        _ownerAccesses.WaitOutside(0, ulong.MaxValue);
        old?.ReleaseAll();
    }

    /// <summary>Reads memory as the device.</summary>
    /// <returns>EFAULT: part of the range is not mapped, or wraps; EACCES: it may not be read; else the error of the memory. The bytes
    /// before the one at fault are filled.</returns>
    public Errno Read(Iova address, Span<byte> destination)
    {
        ulong at = address.Value;
        while (destination.Length > 0)
        {
            int ticket = _lock.EnterRead();
            int count = destination.Length;
            Errno error = Find(ticket, at, DmaAccess.Read, ref count, out DmaMemory? memory, out ulong offset);
            if (error == Errno.None && memory!.Shared is not null)
                error = ReadInside(ticket, memory, offset, destination[..count]);
            else
                error = Leave(ticket, error, memory, at, count) ?? ReadOutside(memory!, at, offset, destination[..count]);
            if (error != Errno.None)
                return error;
            destination = destination[count..];
            at = unchecked(at + (ulong)count);
            if (at == 0 && destination.Length > 0)
                return Errno.BadAddress;
        }

        return Errno.None;
    }

    /// <summary>Writes memory as the device.</summary>
    /// <returns>As for <see cref="Read"/>, EACCES when it may not be written. The bytes before the one at fault are written.</returns>
    public Errno Write(Iova address, ReadOnlySpan<byte> source)
    {
        ulong at = address.Value;
        while (source.Length > 0)
        {
            int ticket = _lock.EnterRead();
            int count = source.Length;
            Errno error = Find(ticket, at, DmaAccess.Write, ref count, out DmaMemory? memory, out ulong offset);
            if (error == Errno.None && memory!.Shared is not null)
            {
                error = _log is { } log
                    ? WriteAndLog(ticket, memory, log, at, offset, source[..count])
                    : WriteInside(ticket, memory, offset, source[..count]);
            }
            else
            {
                error = Leave(ticket, error, memory, at, count) ?? WriteOutside(memory!, at, offset, source[..count]);
            }

            if (error != Errno.None)
                return error;
            source = source[count..];
            at = unchecked(at + (ulong)count);
            if (at == 0 && source.Length > 0)
                return Errno.BadAddress;
        }

        return Errno.None;
    }

    /// <summary>Starts to record which pages of <see cref="PageBytes"/> are written.</summary>
    /// <returns>EINVAL: it was started before.</returns>
    public Errno StartLog()
    {
        if (Interlocked.CompareExchange(ref _log, new DirtyLog(), null) is not null)
            return Errno.InvalidArgument;

        // Waits for writers that do not know of the log yet.
        _lock.EnterWrite();
        _lock.ExitWrite();
        return Errno.None;
    }

    /// <summary>Stops recording, and drops the record.</summary>
    public void StopLog() => _log = null;

    /// <summary>Reports what was written in a range since the last report, whether it is still mapped or not, and clears the
    /// record.</summary>
    /// <param name="start">First address.</param>
    /// <param name="length">Size of the range in bytes.</param>
    /// <param name="pageBytes">Bytes that a bit stands for.</param>
    /// <param name="bitmap">Bits are set where something was written; none is cleared.</param>
    /// <returns>EINVAL: not started, the length is 0, the range wraps, the page size is no power of two, or the bitmap is too
    /// short.</returns>
    public Errno ReportLog(Iova start, ulong length, ulong pageBytes, Span<byte> bitmap)
    {
        if (CheckReport(start, length, pageBytes, bitmap.Length) is { } log)
        {
            log.Report(start.Value, start.Value + (length - 1), pageBytes, bitmap);
            return Errno.None;
        }

        return Errno.InvalidArgument;
    }

    /// <summary>As <see cref="Unmap(Iova, ulong, out ulong)"/>, and reports a last time what was written in the range.</summary>
    /// <returns>As for both; nothing is removed then.</returns>
    public Errno Unmap(Iova start, ulong length, ulong pageBytes, Span<byte> bitmap, out ulong unmapped)
    {
        unmapped = 0;
        if (CheckReport(start, length, pageBytes, bitmap.Length) is not { } log)
            return Errno.InvalidArgument;
        Errno error = Unmap(start, length, out unmapped);
        if (error == Errno.None)
            log.Report(start.Value, start.Value + (length - 1), pageBytes, bitmap);
        return error;
    }

    private DirtyLog? CheckReport(Iova start, ulong length, ulong pageBytes, int bitmapBytes) =>
        DirtyBitmap.HasRoom(start, length, pageBytes, bitmapBytes) ? _log : null;

    /// <summary>Looks a range up as the device, without an access to it.</summary>
    /// <param name="address">First address.</param>
    /// <param name="length">Size of the range in bytes.</param>
    /// <param name="access">What must be allowed there; <see cref="DmaAccess.None"/> for nothing in particular.</param>
    /// <param name="segments">How many mappings it lies in; on an error, those before the byte at fault.</param>
    /// <returns>EFAULT: part of the range is not mapped, or wraps; EACCES: part of it does not allow that.</returns>
    public Errno Translate(Iova address, ulong length, DmaAccess access, out int segments)
    {
        ulong at = address.Value;
        segments = 0;
        int ticket = _lock.EnterRead();
        try
        {
            while (length > 0)
            {
                ref readonly DmaEntry entry = ref Locate(ticket, at, out ulong into);
                Errno error = Check(entry, into, access);
                if (error != Errno.None)
                    return error;
                ulong count = Math.Min(length, entry.Length - into);
                segments++;
                length -= count;
                at = unchecked(at + count);
                if (at == 0 && length > 0)
                    return Errno.BadAddress;
            }

            return Errno.None;
        }
        finally
        {
            _lock.ExitRead(ticket);
        }
    }

    private static bool IsRange(ulong start, ulong length) =>
        length != 0 && ((start | length) & (PageBytes - 1)) == 0 && length - 1 <= ulong.MaxValue - start;

    private bool Cuts(ulong start, ulong last) =>
        (start > 0 && _chunks.TryFindUpTo(start - 1, out DmaPosition below)
            && start - _chunks.StartOf(below) < _chunks.EntryAt(below).Length)
        || (_chunks.TryFindUpTo(last, out DmaPosition final) && last - _chunks.StartOf(final) + 1 < _chunks.EntryAt(final).Length);

    /// <summary>Finds the memory behind an address; called by a reader of the lock.</summary>
    /// <param name="ticket">The reader's ticket.</param>
    /// <param name="address">The address.</param>
    /// <param name="access">The access that must be allowed.</param>
    /// <param name="count">How many bytes are requested; becomes how many can be accessed in one step.</param>
    /// <param name="memory">The memory.</param>
    /// <param name="offset">The offset into it.</param>
    private Errno Find(int ticket, ulong address, DmaAccess access, ref int count, out DmaMemory? memory, out ulong offset)
    {
        memory = null;
        offset = 0;
        ref readonly DmaEntry entry = ref Locate(ticket, address, out ulong into);
        Errno error = Check(entry, into, access);
        if (error != Errno.None)
            return error;
        memory = entry.Memory;
        int most = memory.Shared is null ? count : Math.Min(count, MaxCopyBytes);
        count = (int)Math.Min((ulong)most, entry.Length - into);
        offset = entry.MemoryOffset + into;
        return Errno.None;
    }

    /// <summary>Finds the mapping that holds an address; called by a reader of the lock.</summary>
    /// <returns>The mapping, or one that is no longer than <paramref name="into"/> when there is none.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ref readonly DmaEntry Locate(int ticket, ulong address, out ulong into)
    {
        ref long note = ref _lock.NoteOf(ticket);
        long remembered = Volatile.Read(ref note);
        ref readonly DmaEntry last = ref _chunks.Get(new DmaPosition((int)(remembered >> 32), (int)remembered), address, out into);
        if (into < last.Length)
            return ref last;
        ref readonly DmaEntry found = ref _chunks.Find(address, out DmaPosition position, out into);
        Volatile.Write(ref note, (long)position.Chunk << 32 | (uint)position.Index);
        return ref found;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Errno Check(in DmaEntry entry, ulong into, DmaAccess access) => into >= entry.Length ? Errno.BadAddress
        : (entry.Access & access) == access ? Errno.None : Errno.AccessDenied;

    private Errno ReadInside(int ticket, DmaMemory memory, ulong offset, Span<byte> destination)
    {
        try
        {
            return memory.Read(offset, destination);
        }
        finally
        {
            _lock.ExitRead(ticket);
        }
    }

    private Errno WriteInside(int ticket, DmaMemory memory, ulong offset, ReadOnlySpan<byte> source)
    {
        try
        {
            return memory.Write(offset, source);
        }
        finally
        {
            _lock.ExitRead(ticket);
        }
    }

    private Errno WriteAndLog(int ticket, DmaMemory memory, DirtyLog log, ulong at, ulong offset, ReadOnlySpan<byte> source)
    {
        try
        {
            return memory.Write(offset, source);
        }
        finally
        {
            // After the write: who reads the report and then the page must find the bytes.
            log.Mark(at, source.Length);
            _lock.ExitRead(ticket);
        }
    }

    /// <summary>Exits the lock with a reference to the memory, whose owner is asked without the lock; or with the error.</summary>
    private Errno? Leave(int ticket, Errno error, DmaMemory? memory, ulong at, int count)
    {
        if (error == Errno.None)
        {
            memory!.AddReference();
            _ownerAccesses.Enter(at, at + (ulong)(count - 1));
        }

        _lock.ExitRead(ticket);
        return error == Errno.None ? null : error;
    }

    private Errno ReadOutside(DmaMemory memory, ulong at, ulong offset, Span<byte> destination)
    {
        try
        {
            return memory.Read(offset, destination);
        }
        finally
        {
            LetGo(memory, at, destination.Length);
        }
    }

    private Errno WriteOutside(DmaMemory memory, ulong at, ulong offset, ReadOnlySpan<byte> source)
    {
        try
        {
            return memory.Write(offset, source);
        }
        finally
        {
            _log?.Mark(at, source.Length);
            LetGo(memory, at, source.Length);
        }
    }

    private void LetGo(DmaMemory memory, ulong at, int count)
    {
        // In this order the memory is free when an unmap that waited returns.
        memory.Release();
        _ownerAccesses.Exit(at, at + (ulong)(count - 1));
    }
}
