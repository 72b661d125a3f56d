using Vfio.Abstractions;
using Vfio.Native;

namespace Vfio.Run.Interface;

/// <summary>What a mapping of a device file shows.</summary>
/// <param name="Error">Why there is none, or <see cref="Errno.None"/>.</param>
/// <param name="Device">The device whose registers are behind it: each access is one of <see cref="IVfioDevice.ReadRegion"/> or <see
/// cref="IVfioDevice.WriteRegion"/>, made by who traces the program.</param>
/// <param name="Region">The region.</param>
/// <param name="Offset">Where in the region it begins, in bytes.</param>
internal readonly record struct ServedMapping(Errno Error, IVfioDevice? Device, RegionIndex Region, ulong Offset)
{
    /// <summary>No mapping.</summary>
    public static ServedMapping Refused(Errno error) => new(error, null, default, 0);
}
