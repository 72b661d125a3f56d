namespace Vfio.Tests.DriverApi;

internal static class Measure
{
    /// <summary>Bytes that an action allocates on this thread once it is warm.</summary>
    internal static long Allocations(Action action)
    {
        for (int i = 0; i < 100; i++)
            action();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
            action();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }
}
