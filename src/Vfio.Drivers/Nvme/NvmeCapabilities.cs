using Vfio.Pci;
using Vfio.Pci.Config;

namespace Vfio.Drivers.Nvme;

/// <summary>Controller Capabilities (CAP), offset 0x00: what a controller can do.</summary>
/// <param name="Low">Bits 31:0.</param>
/// <param name="High">Bits 63:32.</param>
/// <remarks>NVM Express Base Specification 1.4, section 3.1.1.</remarks>
internal readonly record struct NvmeCapabilities(uint Low, uint High)
{
    private const int TimeoutUnitMilliseconds = 500;

    /// <summary>MQES, bits 15:0. Entries of the largest I/O queue (the register holds one less).</summary>
    public int MaxQueueEntries => (int)Low.Get(15, 0) + 1;

    /// <summary>CQR, bit 16: whether queues must be contiguous in memory.</summary>
    public bool RequiresContiguousQueues => Low.Get(16);

    /// <summary>TO, bits 31:24: how long it may take to become ready or not ready. A 0 counts as one unit of 500 ms.</summary>
    public TimeSpan ReadyTimeout => TimeSpan.FromMilliseconds(Math.Max(1, Low.Get(31, 24)) * TimeoutUnitMilliseconds);

    /// <summary>DSTRD, bits 35:32. Bytes from one doorbell to the next.</summary>
    public int DoorbellStrideBytes => 4 << (int)High.Get(3, 0);

    /// <summary>CSS, bit 37: whether it has the NVM command set: read, write, flush.</summary>
    public bool HasNvmCommandSet => High.Get(5);

    /// <summary>MPSMIN, bits 51:48. Smallest memory page, in bytes.</summary>
    public long MinPageBytes => 4096L << (int)High.Get(19, 16);

    /// <summary>MPSMAX, bits 55:52. Largest memory page, in bytes.</summary>
    public long MaxPageBytes => 4096L << (int)High.Get(23, 20);
}
