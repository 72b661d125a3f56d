using System.Runtime.CompilerServices;
using Vfio.Native.Interop;

namespace Vfio.Native.Waiting;

/// <summary>Leaves the core to the client until that sleeps, where both share one and it is worth it.</summary>
/// <remarks>
/// <para>A client that waits for an answer still has its way to the kernel and to sleep before it when its message wakes the session. A
/// session that runs at once, on the same core, interrupts it there, and each message takes more switches than it needs. As
/// SCHED_BATCH the session waits those few hundred nanoseconds. On a core of its own it makes no difference.</para>
/// <para>Used by the session's thread alone, which may belong to the user of this library: it leaves it as it found it, and does
/// nothing to one that is scheduled in another way.</para>
/// </remarks>
internal sealed class BatchScheduling
{
    private readonly WakeupPolicy _wakes = new();
    private bool _isOff;
    private bool _isOrdinary;

    /// <summary>Makes one for the calling thread.</summary>
    /// <param name="isWanted">Whether it may do anything.</param>
    public BatchScheduling(bool isWanted) => _isOff = !isWanted;

    /// <summary>The thread was woken by its client.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Woken()
    {
        // A clock that moves with the timer's interrupt, and costs less to read than the time of day.
        if (!_isOff && _wakes.Woken(Environment.TickCount64))
            Switch();
    }

    /// <summary>Leaves the thread as it was.</summary>
    public void End()
    {
        if (!_isOff && _isOrdinary && _wakes.ShouldDefer)
            ThreadScheduling.TrySetBatch(false);
        _isOff = true;
    }

    private void Switch()
    {
        // Asked here and not at the beginning: most sessions are over before there is a reason to switch.
        _isOrdinary = _isOrdinary || ThreadScheduling.IsOrdinary;
        _isOff = !_isOrdinary || !ThreadScheduling.TrySetBatch(_wakes.ShouldDefer);
    }
}
