using Vfio.Pci;
using Vfio.Pci.Config;

namespace Vfio.Drivers.Igb;

/// <summary>Device Status (STATUS): offset 0x0008, read-only.</summary>
/// <param name="Raw">The register.</param>
/// <remarks>82576 Datasheet, section 8.2.2.</remarks>
internal readonly record struct IgbStatus(uint Raw)
{
    /// <summary>LU, bit 1: the link is up.</summary>
    internal bool IsLinkUp => Raw.Get(1) && !IsGone;

    /// <summary>Num VFs, bits 17:14, while IOV mode, bit 18, is on: how many virtual functions there are.</summary>
    internal int VirtualFunctions => Raw.Get(18) && !IsGone ? (int)Raw.Get(17, 14) : 0;

    /// <summary>GIO Master Enable Status, bit 19: requests on the bus may be under way.</summary>
    internal bool IsBusMaster => Raw.Get(19);

    /// <summary>All ones: nobody answered.</summary>
    internal bool IsGone => Raw == uint.MaxValue;
}
