using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio.Driver;

/// <summary>Whether a PCI function is there.</summary>
internal static class Presence
{
    /// <summary>Header Type: PCI Local Bus Specification 3.0, section 6.2.1. No layout has all bits set.</summary>
    /// <remarks>The ids would not tell: Linux answers for them from a copy of its own, also when the function is gone.</remarks>
    private const ulong HeaderType = 0x0e;

    /// <summary>Reads a register of config space, which nobody answers for a function that was removed.</summary>
    internal static bool IsPresent(IVfioDevice device)
    {
        byte layout = byte.MaxValue;
        try
        {
            device.ReadRegion(RegionIndex.Config, HeaderType, Blittable.AsBytes(ref layout));
        }
        catch (VfioException)
        {
            // A provider that cannot reach it may say so.
        }

        return layout != byte.MaxValue;
    }
}
