using System.Runtime.InteropServices;
using Vfio.Guard.Emulation;
using Vfio.Guard.Interrupts;

namespace Vfio.Guard.Migration;

/// <summary>The header of each section of a saved state: 16 bytes, then <see cref="Length"/> bytes.</summary>
/// <remarks>All numbers are little-endian. A state is an identity, then the other sections in the order of their numbers, each once except
/// memory, which comes in pieces; the end section closes it.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct StateSection
{
    /// <summary>The kind of section.</summary>
    internal StateSectionKind Kind;

    /// <summary>The region, for <see cref="StateSectionKind.Memory"/>; else 0.</summary>
    internal uint Index;

    /// <summary>Bytes that follow.</summary>
    internal ulong Length;
}

/// <summary>The kinds of <see cref="StateSection"/>.</summary>
internal enum StateSectionKind : uint
{
    /// <summary>The function's identity; see <see cref="FunctionIdentity"/>.</summary>
    Identity = 1,

    /// <summary>Config space as the user sees it.</summary>
    Config = 2,

    /// <summary>A byte for each vector of INTx, MSI and MSI-X, see <see cref="InterruptVector.State"/>; then how many of each are in
    /// use.</summary>
    Interrupts = 3,

    /// <summary>The user's MSI-X table.</summary>
    MsixTable = 4,

    /// <summary>The function's own state; see <see cref="IMigratableFunction.Save"/>.</summary>
    Function = 5,

    /// <summary>Bytes of a BAR's memory: where they start (8 bytes), and the bytes.</summary>
    Memory = 6,

    /// <summary>CRC-32C of all that came before this section; 4 bytes.</summary>
    End = 7,
}
