namespace Vfio.Drivers.Nvme;

/// <summary>Doorbells in memory, of a controller that reads them there: registers are written only where it asks for it, so that most
/// commands need no access to a register.</summary>
/// <remarks>NVM Express Base Specification 2.0, section 5.8 and annex B.5, Doorbell Buffer Config; the controllers that have it are
/// emulated. The admin queue does not use it.</remarks>
internal sealed class NvmeShadowDoorbells : IDisposable
{
    private readonly DmaBuffer _memory;
    private readonly long _stride;

    internal NvmeShadowDoorbells(PciDevice device, int strideBytes)
    {
        _memory = device.AllocateDma(2 * NvmeRegisters.PageBytes);
        _stride = strideBytes;
    }

    /// <summary>Where doorbells are written.</summary>
    internal Iova Doorbells => _memory.Start;

    /// <summary>Where the controller says past which values it wants its registers written.</summary>
    internal Iova Events => _memory.AddressOf(NvmeRegisters.PageBytes);

    /// <summary>Whether a queue pair has its places in the page.</summary>
    internal bool Has(int queue) => (2L * queue + 2) * _stride <= NvmeRegisters.PageBytes;

    /// <summary>Starts with an empty queue pair, before the controller knows it.</summary>
    internal void Start(int queue)
    {
        for (int doorbell = 2 * queue; doorbell < 2 * queue + 2; doorbell++)
        {
            _memory.Write32(doorbell * _stride, 0);
            _memory.Write32(NvmeRegisters.PageBytes + (doorbell * _stride), 0);
        }
    }

    /// <summary>Writes a doorbell.</summary>
    /// <param name="doorbell">2n for the tail of queue n, 2n + 1 for its head.</param>
    /// <param name="before">What it was.</param>
    /// <param name="value">What it is now.</param>
    /// <returns>Whether the register has to be written too.</returns>
    internal bool Write(int doorbell, int before, int value)
    {
        _memory.Write32(doorbell * _stride, (uint)value);

        // Either the controller sees the value before it sleeps, or this sees that it has asked to be woken.
        Interlocked.MemoryBarrier();
        int asked = (int)_memory.Read32(NvmeRegisters.PageBytes + (doorbell * _stride));
        return (ushort)(value - asked - 1) < (ushort)(value - before);
    }

    /// <inheritdoc/>
    public void Dispose() => _memory.Dispose();
}
