using System.Buffers;
using Vfio.Native;

namespace Vfio;

/// <summary>Migration of a PCI function: it can save and restore its state. Requested with <see cref="IPciFunction.TryGet"/>.</summary>
/// <remarks>The state here is what neither config space's user-visible bits nor the memory of <see cref="IPciFunction.GetMemory"/>
/// hold: the guard saves those itself. Called one call at a time, as the rest of the function.</remarks>
public interface IMigratableFunction
{
    /// <summary>Whether it can; fixed.</summary>
    bool CanMigrate { get; }

    /// <summary>Stops the function. When this returns it uses no memory, and neither interrupts nor changes by itself until <see
    /// cref="Start"/>; work under way is done, or kept until then. Its registers answer, and it can be reset.</summary>
    /// <exception cref="VfioException">EBUSY: its work does not come to rest in time; it runs on.</exception>
    void Stop();

    /// <summary>Lets it run again.</summary>
    void Start();

    /// <summary>Saves its state; it is stopped.</summary>
    void Save(IBufferWriter<byte> to);

    /// <summary>Restores a state; it is stopped, and was reset before.</summary>
    /// <param name="state">What another function saved, or what a hostile user forged: check every value.</param>
    /// <returns>False when the state is not valid; it is reset then.</returns>
    bool TryRestore(ReadOnlySpan<byte> state);

    /// <summary>Takes memory in place of a region's own, which another process had there and a driver may have mapped. It is
    /// stopped.</summary>
    /// <param name="region">Which region.</param>
    /// <param name="memory">Of the region's length; owned by the function when it is taken.</param>
    /// <returns>False when it cannot; nothing is changed then.</returns>
    bool TryTakeMemory(RegionIndex region, SharedMemory memory) => false;
}
