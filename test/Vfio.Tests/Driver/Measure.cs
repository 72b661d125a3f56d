namespace Vfio.Tests.Driver;

internal static class Measure
{
    private const int Repeats = 500;
    private const int Rounds = 100;

    /// <summary>Bytes that 500 calls of an action allocate on this thread once it is warm.</summary>
    internal static long Allocations(Action action) => Allocations(action, GC.GetAllocatedBytesForCurrentThread);

    /// <summary>Bytes that 500 calls of an action allocate once it is warm.</summary>
    /// <param name="action">What to repeat.</param>
    /// <param name="count">How many bytes were allocated so far.</param>
    /// <remarks>The least of many rounds, for the runtime itself allocates now and then, when it compiles a method again. What
    /// the action allocates it allocates in every round.</remarks>
    internal static long Allocations(Action action, Func<long> count)
    {
        long least = long.MaxValue;
        for (int round = 0; round < Rounds && least > 0; round++)
        {
            long before = count();
            for (int i = 0; i < Repeats; i++)
                action();
            least = Math.Min(least, count() - before);
        }

        return least;
    }
}
