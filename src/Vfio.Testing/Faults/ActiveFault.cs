namespace Vfio.Testing.Faults;

/// <summary>A fault of one device, and how many events it has seen.</summary>
internal sealed class ActiveFault(Fault fault)
{
    private long _events;

    internal Fault Fault => fault;

    /// <summary>Counts one event.</summary>
    /// <returns>Whether the fault strikes it.</returns>
    internal bool Strikes() => fault.Strikes(Interlocked.Increment(ref _events));

    /// <summary>Counts an access that it is about.</summary>
    internal bool Strikes(RegionIndex region, ulong offset) =>
        fault.Region == region && offset >= fault.FirstOffset && offset <= fault.LastOffset && Strikes();
}
