using Vfio.Pci;
using Vfio.Pci.Config;

namespace Vfio.Drivers.Nvme;

/// <summary>Controller Status (CSTS), offset 0x1c.</summary>
/// <param name="Raw">The register.</param>
/// <remarks>NVM Express Base Specification 1.4, section 3.1.6.</remarks>
internal readonly record struct NvmeControllerStatus(uint Raw)
{
    /// <summary>RDY, bit 0: it takes commands.</summary>
    internal bool IsReady => Raw.Get(0);

    /// <summary>CFS, bit 1: something fatal happened that it cannot report in a completion.</summary>
    internal bool IsFatal => Raw.Get(1);

    /// <summary>SHST, bits 3:2, is 2: the shutdown that was asked for is complete.</summary>
    internal bool IsShutDown => Raw.Get(3, 2) == 2;

    /// <summary>All ones: what a bus gives for a device that is not there. Bits 31:6 of the register are reserved and 0.</summary>
    internal bool IsGone => Raw == uint.MaxValue;
}
