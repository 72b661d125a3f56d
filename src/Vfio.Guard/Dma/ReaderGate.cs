using System.Runtime.InteropServices;

namespace Vfio.Guard;

/// <summary>Lets many readers in at once and shuts them all out for a writer.</summary>
/// <remarks>Readers of different threads touch different cache lines, so that they do not slow each other down. A section is
/// short (a look-up and a copy), so a writer spins until the readers have left. No section may hold another.</remarks>
internal sealed class ReaderGate
{
    /// <summary>How many cache lines the readers spread over; a power of two.</summary>
    internal const int Lanes = 8;

    private readonly Lane[] _lanes = new Lane[Lanes];
    private readonly Lock _writer = new();
    private volatile bool _isShut;

    /// <summary>Enters as reader.</summary>
    /// <returns>The lane, for <see cref="ExitRead"/>.</returns>
    internal int EnterRead()
    {
        int lane = Environment.CurrentManagedThreadId & (Lanes - 1);
        while (true)
        {
            // A full fence: either the writer sees this reader, or this reader sees that the gate is shut.
            Interlocked.Increment(ref _lanes[lane].Readers);
            if (!_isShut)
                return lane;
            Interlocked.Decrement(ref _lanes[lane].Readers);
            lock (_writer)
            {
            }
        }
    }

    /// <summary>A number that the readers of a lane leave for those that follow: 0 at first. They may be of several threads.</summary>
    internal ref long NoteOf(int lane) => ref _lanes[lane].Note;

    internal void ExitRead(int lane) => Interlocked.Decrement(ref _lanes[lane].Readers);

    /// <summary>Enters as the only one; returns when no reader is left.</summary>
    internal void EnterWrite()
    {
        _writer.Enter();
        _isShut = true;
        Interlocked.MemoryBarrier();
        for (int i = 0; i < Lanes; i++)
        {
            SpinWait spin = default;
            while (Volatile.Read(ref _lanes[i].Readers) != 0)
                spin.SpinOnce(sleep1Threshold: -1);
        }
    }

    internal void ExitWrite()
    {
        _isShut = false;
        _writer.Exit();
    }

    /// <summary>A count and a note on a cache line of its own; prefetchers fetch lines in pairs.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 128)]
    private struct Lane
    {
        internal int Readers;
        internal long Note;
    }
}
