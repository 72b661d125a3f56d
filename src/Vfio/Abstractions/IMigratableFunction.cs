using System.Buffers;
using Vfio.Native;

namespace Vfio;

/// <summary>Migration of a PCI function: it can save and restore its state. Asked for with <see cref="IPciFunction.TryGet"/>.</summary>
/// <remarks>Its state here is what neither config space's user-visible bits nor the memory of <see cref="IPciFunction.GetMemory"/>
/// hold: the guard carries those by itself, by its own rules. Called as the rest of the function, one call at a time.</remarks>
public interface IMigratableFunction
{
    /// <summary>Whether it can; fixed.</summary>
    bool CanMigrate { get; }

    /// <summary>Makes it stand still. When this returns it uses no memory, and neither interrupts nor changes by itself until <see
    /// cref="Start"/>; work under way is done, or kept for then. Its registers answer, and it can be reset.</summary>
    void Stop();

    /// <summary>Lets it work again.</summary>
    void Start();

    /// <summary>Writes its state; it is stopped.</summary>
    void Save(IBufferWriter<byte> to);

    /// <summary>Takes a state in; it is stopped, and was reset before.</summary>
    /// <param name="state">What another function wrote, or what a hostile user made up: every value is checked.</param>
    /// <returns>False when this is no state of it; it is reset then.</returns>
    bool TryRestore(ReadOnlySpan<byte> state);

    /// <summary>Takes memory in place of a region's own: another process had it there, and a driver may have it mapped. It is stopped.</summary>
    /// <param name="region">Which region.</param>
    /// <param name="memory">As long as the region's; owned from now on, if it is taken.</param>
    /// <returns>False when it cannot; nothing is changed then.</returns>
    bool TryTakeMemory(RegionIndex region, SharedMemory memory) => false;
}
