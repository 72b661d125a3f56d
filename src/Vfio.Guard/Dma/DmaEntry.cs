namespace Vfio.Guard.Dma;

/// <summary>One mapping without its start: 24 bytes. Its length is a multiple of the page size, so the access rights are in the low bits
/// of the length.</summary>
internal readonly struct DmaEntry
{
    private const ulong AccessMask = (ulong)DmaAccess.ReadWrite;
    private readonly ulong _lengthAndAccess;

    internal DmaEntry(in DmaMapping mapping)
    {
        _lengthAndAccess = mapping.Length | (ulong)mapping.Access;
        MemoryOffset = mapping.MemoryOffset;
        Memory = mapping.Memory;
    }

    internal DmaMemory Memory { get; }

    internal ulong MemoryOffset { get; }

    internal ulong Length => _lengthAndAccess & ~AccessMask;

    internal DmaAccess Access => (DmaAccess)(_lengthAndAccess & AccessMask);
}
