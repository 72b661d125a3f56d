namespace Vfio.Devices.Edu;

/// <summary>The registers of the educational device, in the order of <see cref="EduRegisters.Map"/>.</summary>
internal enum EduRegister
{
    /// <summary>Which device and version.</summary>
    Identification,

    /// <summary>Reads the complement of what was written.</summary>
    Liveness,

    /// <summary>A number, then its factorial.</summary>
    Factorial,

    /// <summary>Bit 0: computing; bit 7: interrupt when done.</summary>
    Status,

    /// <summary>Causes of the interrupt.</summary>
    InterruptStatus,

    /// <summary>Adds causes.</summary>
    InterruptRaise,

    /// <summary>Takes causes away.</summary>
    InterruptAcknowledge,

    /// <summary>Where DMA reads.</summary>
    DmaSource,

    /// <summary>Where DMA writes.</summary>
    DmaDestination,

    /// <summary>How many bytes.</summary>
    DmaCount,

    /// <summary>Bit 0: run; bit 1: to memory; bit 2: interrupt when done.</summary>
    DmaCommand,
}
