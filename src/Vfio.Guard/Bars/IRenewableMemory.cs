using Vfio.Native;

namespace Vfio.Guard.Bars;

/// <summary>A function with memory that its users map. A user can keep a mapping after the device was closed.</summary>
internal interface IRenewableMemory
{
    /// <summary>Gives its BARs' memory new files, before the next user opens the function. Memory that nobody wrote stays.</summary>
    /// <param name="wasShown">Whether the last user may have mapped it, and so have written it or kept a mapping.</param>
    /// <exception cref="VfioException">No descriptors or no memory left.</exception>
    void RenewMemory(bool wasShown);
}
