using System.Runtime.InteropServices;

namespace Vfio.Native.Interop;

/// <summary>How the scheduler treats the calling thread, of those ways that need no privilege: sched(7).</summary>
internal static unsafe class ThreadScheduling
{
    private const int Ordinary = 0, Batch = 3, ResetOnFork = 0x40000000;

    /// <summary>Whether it is scheduled as threads are by default (SCHED_OTHER).</summary>
    public static bool IsOrdinary => Policy == Ordinary;

    /// <summary>Whether its wakeup does not preempt the thread that wakes it (SCHED_BATCH).</summary>
    public static bool IsBatch => Policy == Batch;

    private static int Policy => LibC.sched_getscheduler(0) & ~ResetOnFork;

    /// <summary>Makes it SCHED_BATCH, or SCHED_OTHER; threads that it starts are SCHED_OTHER either way.</summary>
    /// <returns>False when the kernel refused.</returns>
    public static bool TrySetBatch(bool isBatch)
    {
        // struct sched_param: the priority, which these two do not have.
        int priority = 0;
        return LibC.sched_setscheduler(0, (isBatch ? Batch : Ordinary) | ResetOnFork, &priority) == 0;
    }
}
