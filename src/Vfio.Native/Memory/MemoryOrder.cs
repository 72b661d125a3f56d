namespace Vfio.Native.Memory;

/// <summary>The order in which others see what a thread writes.</summary>
internal static class MemoryOrder
{
    /// <summary>A thread or device that sees what this thread writes next, to memory or to a register, also sees what it wrote
    /// before.</summary>
    public static void WriteBarrier()
    {
#if NET10_0_OR_GREATER
        Volatile.WriteBarrier();
#else
        Interlocked.MemoryBarrier();
#endif
    }
}
