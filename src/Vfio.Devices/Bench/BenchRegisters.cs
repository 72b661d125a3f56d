using Vfio.Guard;

namespace Vfio.Devices.Bench;

/// <summary>The registers in BAR0: interface "VUB1", which other servers have too, so that one client can measure them all.</summary>
/// <remarks>The whole BAR is memory, to be read and written at any offset and width. A register acts only on a write of exactly its
/// width at its offset. The MSI-X table is at 0x800 and its pending bits at 0xc00; what is not listed means nothing.</remarks>
internal static class BenchRegisters
{
    /// <summary>Size of BAR0 in bytes.</summary>
    public const int BarLength = 0x1000;

    /// <summary>Size of BAR2, the device's memory, in bytes; the longest transfer.</summary>
    public const int MemoryLength = 0x10_0000;

    /// <summary>Most repeats of one operation.</summary>
    public const uint MaxRepeats = 1_000_000;

    /// <summary>MSI-X vectors.</summary>
    public const int Vectors = 32;

    /// <summary>Where in BAR0 the MSI-X table is.</summary>
    public const uint VectorTable = 0x800;

    /// <summary>Where in BAR0 the MSI-X pending bits are.</summary>
    public const uint VectorPending = 0xc00;

    /// <summary>The table.</summary>
    public static readonly RegisterMap<BenchRegister> Map = new(BarLength)
    {
        // offset, bytes, register,             reset,       writable
        { 0x00, 4, BenchRegister.Magic,          0x3142_5556 },
        { 0x04, 4, BenchRegister.Version,        1 },
        { 0x08, 4, BenchRegister.Scratch0,       0,           0xffff_ffff },
        { 0x0c, 4, BenchRegister.Scratch1,       0,           0xffff_ffff },
        { 0x10, 4, BenchRegister.Interrupt,      0,           0xffff_ffff },
        { 0x14, 4, BenchRegister.InterruptStatus, 0,          0xffff_ffff },
        { 0x18, 8, BenchRegister.DmaAddress,     0,           ulong.MaxValue },
        { 0x20, 8, BenchRegister.DmaLength,      0,           ulong.MaxValue },
        { 0x28, 4, BenchRegister.DmaGo,          0,           0xffff_ffff },
        { 0x30, 4, BenchRegister.DmaStatus,      0,           0xffff_ffff },
        { 0x34, 4, BenchRegister.DmaSegments,    0,           0xffff_ffff },
        { 0x38, 8, BenchRegister.DmaBytes,       0,           ulong.MaxValue },
        { 0x40, 4, BenchRegister.DmaRepeat,      0,           0xffff_ffff },
        { 0x48, 8, BenchRegister.DmaNanoseconds, 0,           ulong.MaxValue },
        { 0x50, 8, BenchRegister.WriteCount,     0 },
        { 0x58, 8, BenchRegister.DmaMappings,    0 },
        { 0x60, 8, BenchRegister.DmaStride,      0,           ulong.MaxValue },
        { 0x68, 8, BenchRegister.DmaSpan,        0,           ulong.MaxValue },
    };
}
