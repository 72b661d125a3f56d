using Vfio.Native;

namespace Vfio.Guard.Bars;

/// <summary>A function of which something outlives a reset and must not outlive its user. A user can keep a mapping of memory after the device
/// was closed.</summary>
internal interface IRenewableFunction
{
    /// <summary>Called before a user opens the function. Gives its BARs' memory new files; memory that nobody wrote stays.</summary>
    /// <param name="wasShown">Whether the last user may have mapped it, and so have written it or kept a mapping.</param>
    /// <exception cref="VfioException">No descriptors or no memory left.</exception>
    void Renew(bool wasShown);
}
