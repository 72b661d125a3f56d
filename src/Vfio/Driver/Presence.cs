using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Driver;

/// <summary>Checks whether a PCI function is present.</summary>
internal static class Presence
{
    /// <summary>Header Type: PCI Local Bus Specification 3.0, section 6.2.1. No layout has all bits set.</summary>
    /// <remarks>The ids do not show it: Linux answers for them from its own copy, also when the function was removed.</remarks>
    private const ulong HeaderType = 0x0e;

    /// <summary>Reads a register of config space, which a removed function does not answer.</summary>
    internal static bool IsPresent(IVfioDevice device)
    {
        byte layout = byte.MaxValue;
        try
        {
            device.ReadRegion(RegionIndex.Config, HeaderType, Blittable.AsBytes(ref layout));
        }
        catch (VfioException)
        {
            // A provider that cannot reach it may throw.
        }

        return layout != byte.MaxValue;
    }
}
