namespace Vfio.Tests.DriverApi;

internal static class Measure
{
    private const int Repeats = 1000;
    private const int Rounds = 5;

    /// <summary>Bytes that 1000 calls of a warm action allocate on this thread.</summary>
    /// <remarks>The least of some rounds: the runtime itself allocates now and then, when it compiles a method again.</remarks>
    internal static long Allocations(Action action)
    {
        long least = long.MaxValue;
        for (int round = 0; round < Rounds; round++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < Repeats; i++)
                action();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        return least;
    }
}
