namespace Vfio.Drivers.Edu;

/// <summary>Registers in BAR0 of QEMU's educational device, as <c>docs/specs/edu.rst</c> of QEMU lists them.</summary>
/// <remarks>Below 0x80 they are 4 bytes wide; from there on 4 or 8.</remarks>
internal static class EduRegisters
{
    internal const ushort VendorId = 0x1234, DeviceId = 0x11e8;

    /// <summary>Read-only: <c>0xRRrr00ed</c> with major and minor version.</summary>
    internal const long Identification = 0x00;

    /// <summary>Reads the complement of what was written.</summary>
    internal const long Liveness = 0x04;

    /// <summary>Takes a number, and has its factorial once <see cref="Computing"/> is clear.</summary>
    internal const long Factorial = 0x08;

    internal const long Status = 0x20;

    /// <summary>Read-only: the causes of the interrupt that are not acknowledged.</summary>
    internal const long InterruptStatus = 0x24;

    /// <summary>Write-only: raises an interrupt with these causes.</summary>
    internal const long InterruptRaise = 0x60;

    /// <summary>Write-only: clears these causes.</summary>
    internal const long InterruptAcknowledge = 0x64;

    internal const long DmaSource = 0x80, DmaDestination = 0x88, DmaCount = 0x90, DmaCommand = 0x98;

    /// <summary>Where the device's own buffer is, for <see cref="DmaSource"/> and <see cref="DmaDestination"/>.</summary>
    internal const ulong BufferAddress = 0x40000;

    internal const int BufferLength = 4096;

    /// <summary>Of <see cref="Status"/>: a factorial is being computed; read-only.</summary>
    internal const uint Computing = 0x01;

    /// <summary>Of <see cref="Status"/>: raise <see cref="FactorialCause"/> when it is done.</summary>
    internal const uint InterruptAfterFactorial = 0x80;

    /// <summary>Of <see cref="DmaCommand"/>: start; reads 1 until the transfer is over.</summary>
    internal const uint DmaRun = 0x01;

    /// <summary>Of <see cref="DmaCommand"/>: from the device to memory, rather than to the device.</summary>
    internal const uint DmaToMemory = 0x02;

    /// <summary>Of <see cref="DmaCommand"/>: raise <see cref="DmaCause"/> when the transfer is over.</summary>
    internal const uint InterruptAfterDma = 0x04;

    internal const uint FactorialCause = 0x001, DmaCause = 0x100;

    /// <summary>How wide its addresses are, unless QEMU's <c>dma_mask</c> says otherwise.</summary>
    internal const int DmaAddressBits = 28;
}
