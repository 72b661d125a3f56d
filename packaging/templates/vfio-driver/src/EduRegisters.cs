namespace Driver._1;

/// <summary>Registers in BAR0 of QEMU's educational device: docs/specs/edu.rst of QEMU. Offsets in bytes.</summary>
internal static class EduRegisters
{
    internal const ushort VendorId = 0x1234, DeviceId = 0x11e8;

    internal const long Factorial = 0x08;
    internal const long Status = 0x20;
    internal const long InterruptStatus = 0x24;
    internal const long InterruptAcknowledge = 0x64;
    internal const long DmaSource = 0x80;
    internal const long DmaDestination = 0x88;
    internal const long DmaCount = 0x90;
    internal const long DmaCommand = 0x98;

    /// <summary>Of <see cref="Status"/>: interrupt when the factorial is there.</summary>
    internal const uint InterruptAfterFactorial = 0x80;

    /// <summary>Of <see cref="DmaCommand"/>.</summary>
    internal const uint DmaStart = 0x01, DmaToMemory = 0x02, InterruptAfterDma = 0x04;

    /// <summary>The device's own buffer, as its DMA engine addresses it, and its size in bytes.</summary>
    internal const ulong Buffer = 0x40000;
    internal const int BufferLength = 4096;

    /// <summary>Width of the addresses of memory that the DMA engine takes.</summary>
    internal const int DmaAddressBits = 28;
}
