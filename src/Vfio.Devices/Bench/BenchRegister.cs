using Vfio.Providers;

namespace Vfio.Devices.Bench;

/// <summary>The registers of the benchmark device that have a meaning, in the order of <see cref="BenchRegisters.Map"/>.</summary>
internal enum BenchRegister
{
    /// <summary>MAGIC: the bytes "VUB1".</summary>
    Magic,

    /// <summary>VERSION.</summary>
    Version,

    /// <summary>SCRATCH0: what a register read and write are measured with.</summary>
    Scratch0,

    /// <summary>SCRATCH1.</summary>
    Scratch1,

    /// <summary>IRQ: a write signals the vector of that number.</summary>
    Interrupt,

    /// <summary>IRQ_STATUS: 0, or the errno of the last signal.</summary>
    InterruptStatus,

    /// <summary>DMA_ADDR: an address in the client's DMA space.</summary>
    DmaAddress,

    /// <summary>DMA_LEN, in bytes.</summary>
    DmaLength,

    /// <summary>DMA_GO: a write runs a <see cref="BenchOperation"/>.</summary>
    DmaGo,

    /// <summary>DMA_STATUS: 0, or the errno of the last operation.</summary>
    DmaStatus,

    /// <summary>DMA_SGS: mappings that the range of the last operation lies in.</summary>
    DmaSegments,

    /// <summary>DMA_BYTES: bytes that the last operation moved or looked up.</summary>
    DmaBytes,

    /// <summary>DMA_REPEAT: how often an operation is repeated; 0 means once.</summary>
    DmaRepeat,

    /// <summary>DMA_NS: nanoseconds that the last operation took inside the device.</summary>
    DmaNanoseconds,

    /// <summary>WRITE_COUNT: writes of BAR0 since the reset.</summary>
    WriteCount,

    /// <summary>DMA_REGIONS: live mappings.</summary>
    DmaMappings,

    /// <summary>DMA_STRIDE: how far the address moves with every repeat, in bytes.</summary>
    DmaStride,

    /// <summary>DMA_SPAN: where the address wraps, in bytes from DMA_ADDR; 0 keeps it in place.</summary>
    DmaSpan,
}
