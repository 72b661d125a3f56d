namespace Vfio.Abstractions;

/// <summary>Doorbells that may be plain memory while they are watched. Asked for with <see cref="IVfioDevice.TryGet"/>, and of an
/// <see cref="IPciFunction"/>.</summary>
internal interface IPolledRegisters
{
    /// <summary>The bytes in which a region has such registers or has none: its first address is a multiple of it.</summary>
    internal const ulong PageBytes = 4096;

    /// <summary>Whether a page of a region has nothing but registers of 4 bytes that are only written, of which the last value counts: a value
    /// that was written over need not arrive, one that is written again has to. None has all bits set. Fixed.</summary>
    bool IsPolled(RegionIndex region, ulong page);
}
