namespace Vfio.Guard.Shared;

/// <summary>Counts refused accesses. Thread-safe.</summary>
/// <param name="total">A counter that also counts them; null for the total itself.</param>
internal sealed class RefusalCounter(RefusalCounter? total = null)
{
    private long _configBits;
    private long _dmaAccesses;

    internal GuardRefusals Value => new(Interlocked.Read(ref _configBits), Interlocked.Read(ref _dmaAccesses));

    internal void AddConfigBits(int count)
    {
        Interlocked.Add(ref _configBits, count);
        total?.AddConfigBits(count);
    }

    internal void AddDmaAccess()
    {
        Interlocked.Increment(ref _dmaAccesses);
        total?.AddDmaAccess();
    }
}
