using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Vfio.Guard.Dma;

/// <summary>A lock for many readers and one writer.</summary>
/// <remarks>
/// <para>Readers of different threads touch different cache lines, so that they do not slow each other down. A section is
/// short (a look-up and a copy), so a writer spins until the readers have left. Sections must not nest.</para>
/// <para>The first thread of a lane has a count of its own there, which it sets by plain stores: a writer makes every core of the
/// process pass a barrier, in place of two barriers in each reader.</para>
/// </remarks>
internal sealed class ReaderLock
{
    /// <summary>How many cache lines the readers spread over; a power of two.</summary>
    internal const int Lanes = 8;

    /// <summary>Part of a ticket of a reader that is counted with others.</summary>
    private const int Guest = Lanes;

    private readonly Lane[] _lanes = new Lane[Lanes];
    private readonly Lock _writer = new();
    private volatile bool _isShut;

    /// <summary>Enters as reader.</summary>
    /// <returns>The ticket, for <see cref="ExitRead"/>.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal int EnterRead()
    {
        int thread = Environment.CurrentManagedThreadId;
        int number = thread & (Lanes - 1);
        ref Lane lane = ref _lanes[number];
        if (lane.Host != thread)
            return EnterAsGuest(thread, number);
        // The writer's barrier is between these two: either it sees this reader, or this reader sees that readers are shut out.
        Volatile.Write(ref lane.IsHostInside, true);
        return _isShut ? EnterLater(number) : number;
    }

    /// <summary>A number that the readers of a lane keep for the next ones: 0 at first. The readers may be of several threads.</summary>
    internal ref long NoteOf(int ticket) => ref _lanes[ticket & (Lanes - 1)].Note;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void ExitRead(int ticket)
    {
        ref Lane lane = ref _lanes[ticket & (Lanes - 1)];
        if (ticket < Guest)
            Volatile.Write(ref lane.IsHostInside, false);
        else
            Interlocked.Decrement(ref lane.Guests);
    }

    /// <summary>Enters as writer; returns when no reader is left.</summary>
    internal void EnterWrite()
    {
        EnterAsWriter();
        ShutReadersOut();
    }

    /// <summary>Enters as the only writer, while readers may still enter.</summary>
    internal void EnterAsWriter() => _writer.Enter();

    /// <summary>Called by the writer: returns when no reader is left.</summary>
    internal void ShutReadersOut()
    {
        _isShut = true;
        Interlocked.MemoryBarrierProcessWide();
        for (int i = 0; i < Lanes; i++)
        {
            SpinWait spin = default;
            while (Volatile.Read(ref _lanes[i].Guests) != 0 || Volatile.Read(ref _lanes[i].IsHostInside))
                spin.SpinOnce(sleep1Threshold: -1);
        }
    }

    /// <summary>Leaves as writer, and lets readers in again.</summary>
    internal void ExitWrite()
    {
        _isShut = false;
        _writer.Exit();
    }

    private int EnterLater(int number)
    {
        ref Lane lane = ref _lanes[number];
        do
        {
            Volatile.Write(ref lane.IsHostInside, false);
            WaitForWriter();
            Volatile.Write(ref lane.IsHostInside, true);
        }
        while (_isShut);
        return number;
    }

    private int EnterAsGuest(int thread, int number)
    {
        ref Lane lane = ref _lanes[number];
        // A new thread with the number of one that has ended takes its place.
        if (Interlocked.CompareExchange(ref lane.Host, thread, 0) == 0)
            return EnterRead();
        while (true)
        {
            Interlocked.Increment(ref lane.Guests);
            if (!_isShut)
                return number | Guest;
            Interlocked.Decrement(ref lane.Guests);
            WaitForWriter();
        }
    }

    private void WaitForWriter()
    {
        lock (_writer)
        {
        }
    }

    /// <summary>Readers and a note on a cache line of their own; prefetchers fetch lines in pairs.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 128)]
    private struct Lane
    {
        internal int Host;
        internal int Guests;
        internal long Note;
        internal bool IsHostInside;
    }
}
