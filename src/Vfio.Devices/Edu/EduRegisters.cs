using Vfio.Guard;
using Vfio.Guard.Emulation;

namespace Vfio.Devices.Edu;

/// <summary>The registers in BAR0, from "MMIO area spec" of QEMU's <c>docs/specs/edu.rst</c>.</summary>
internal static class EduRegisters
{
    /// <summary>Size of BAR0 in bytes.</summary>
    public const int BarLength = 0x10_0000;

    /// <summary>From this offset on accesses of 8 bytes are taken too; below only those of 4.</summary>
    public const int FirstWide = 0x80;

    /// <summary>The table. What no row covers reads as all ones, and so do the registers that are only written.</summary>
    public static readonly RegisterMap<EduRegister> Map = new(BarLength, unlisted: 0xff)
    {
        // offset, bytes, register,                    reset,       writable
        { 0x00, 4, EduRegister.Identification,         0x0100_00ed },
        { 0x04, 4, EduRegister.Liveness,               0,           0xffff_ffff },
        { 0x08, 4, EduRegister.Factorial,              0,           0xffff_ffff },
        { 0x20, 4, EduRegister.Status,                 0,           0x80 },
        { 0x24, 4, EduRegister.InterruptStatus,        0 },
        { 0x60, 4, EduRegister.InterruptRaise,         0xffff_ffff },
        { 0x64, 4, EduRegister.InterruptAcknowledge,   0xffff_ffff },
        { 0x80, 8, EduRegister.DmaSource,              0,           ulong.MaxValue },
        { 0x88, 8, EduRegister.DmaDestination,         0,           ulong.MaxValue },
        { 0x90, 8, EduRegister.DmaCount,               0,           ulong.MaxValue },
        { 0x98, 8, EduRegister.DmaCommand,             0,           ulong.MaxValue },
    };

    // Every access asks this, so it is an array by offset / 4, a step that no two registers share.
    private static readonly RegisterRow<EduRegister>?[] ByWord = Index();

    /// <summary>The register that an access reaches, if the device takes it.</summary>
    /// <remarks>A register is reached at its first byte only, and a 4-byte access of a wide one reads its low half and sets all of
    /// it: QEMU's device decodes the address and leaves the width alone.</remarks>
    /// <param name="offset">Where.</param>
    /// <param name="bytes">How wide.</param>
    /// <param name="row">The register.</param>
    /// <returns>False when nothing answers.</returns>
    public static bool TryFind(ulong offset, int bytes, out RegisterRow<EduRegister> row)
    {
        bool isTaken = bytes == 4 || (bytes == 8 && offset >= FirstWide);
        row = default;
        if (!isTaken || offset % 4 != 0 || offset / 4 >= (ulong)ByWord.Length || ByWord[offset / 4] is not { } found)
            return false;
        row = found;
        return true;
    }

    private static RegisterRow<EduRegister>?[] Index()
    {
        RegisterRow<EduRegister>?[] index = new RegisterRow<EduRegister>?[Map.Rows[^1].End / 4];
        foreach (RegisterRow<EduRegister> row in Map.Rows)
            index[row.Offset / 4] = row;
        return index;
    }
}
