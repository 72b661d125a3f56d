using System.Runtime.InteropServices;
using Vfio.Native.Interop;

namespace Vfio.Native.Memory;

/// <summary>Watches mappings whose memory can go away: a touch of it then marks the mapping as lost, where it would end the process.</summary>
/// <remarks>
/// <para>A mapped BAR of a device that was removed, or a file that was truncated, is a SIGBUS to whoever touches it, which .NET turns
/// into the end of the process. <see cref="BusFaultCode"/> is put before the runtime's own handler; faults elsewhere go on to it.</para>
/// <para>Any thread may use it. The handler and its table stay for as long as the process: a signal may be under way at any time.</para>
/// </remarks>
internal static unsafe class BusFaultGuard
{
    private const int SigBus = 7, SaSigInfo = 4;
    private const uint Entries = 1024;

    private static readonly Lock Gate = new();
    private static readonly Entry* Table = Install();

    /// <summary>Watches a mapping.</summary>
    /// <returns>Its flag: not 0 once memory of it was found gone. Null where nothing can be watched.</returns>
    internal static ulong* Watch(byte* start, ulong length)
    {
        if (Table is null)
            return null;
        lock (Gate)
        {
            for (Entry* entry = Table; entry < Table + Entries; entry++)
            {
                if (entry->Start != 0)
                    continue;

                // The handler may look at any time: without an end the entry holds no address.
                entry->Lost = 0;
                entry->Start = (ulong)start;
                Volatile.Write(ref entry->End, (ulong)start + length);
                return &entry->Lost;
            }
        }

        return null;
    }

    /// <summary>Ends it; called before the mapping goes, for others may get its addresses.</summary>
    internal static void Unwatch(ulong* lost)
    {
        lock (Gate)
        {
            Entry* entry = (Entry*)((byte*)lost - sizeof(ulong) - sizeof(ulong));
            Volatile.Write(ref entry->End, 0);
            Volatile.Write(ref entry->Start, 0);
        }
    }

    /// <summary>Puts the handler before the one there is.</summary>
    /// <returns>The table; null where that cannot be: another processor, memory that may not be executed, or nobody to pass faults on to.
    /// </returns>
    private static Entry* Install()
    {
        if (!BusFaultCode.IsKnown)
            return null;
        nuint page = (nuint)Environment.SystemPageSize;
        Entry* table = (Entry*)Allocate(Entries * (nuint)sizeof(Entry));
        byte* code = (byte*)Allocate(page);
        LibC.SignalAction previous = default;
        if (table is null || code is null || LibC.sigaction(SigBus, null, &previous) != 0 || previous.Handler <= 1
            || (previous.Flags & SaSigInfo) == 0)
            return null;
        BusFaultCode.For((ulong)table, Entries, (ulong)previous.Handler, (uint)page).CopyTo(new Span<byte>(code, (int)page));
        if (LibC.mprotect(code, page, LibC.PROT_READ | LibC.PROT_EXEC) != 0)
            return null;

        // SAFETY: the handler is in memory that is never freed, and keeps to what a handler may do. It runs as the one before it asked to be:
        // the runtime unwinds from its own, and cannot from another stack.
        LibC.SignalAction ours = previous;
        ours.Handler = (nint)code;
        return LibC.sigaction(SigBus, &ours, null) == 0 ? table : null;
    }

    private static void* Allocate(nuint bytes)
    {
        void* memory = LibC.mmap(null, bytes, LibC.PROT_READ | LibC.PROT_WRITE, LibC.MAP_PRIVATE | LibC.MAP_ANONYMOUS, -1, 0);
        return (nint)memory == -1 ? null : memory;
    }

    /// <summary>An entry of the table, as the handler knows it.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 32)]
    private struct Entry
    {
        internal ulong Start;
        internal ulong End;
        internal ulong Lost;
    }
}
