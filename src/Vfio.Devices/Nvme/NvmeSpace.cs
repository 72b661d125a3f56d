using Vfio.Guard;

namespace Vfio.Devices.Nvme;

/// <summary>A namespace: a part of the drive's blocks, with a number.</summary>
internal sealed class NvmeSpace
{
    private readonly int _smallestShift;
    private volatile int _blockShift;
    private volatile bool _isAttached = true;

    /// <summary>Makes a namespace, attached.</summary>
    /// <param name="id">NSID.</param>
    /// <param name="start">Where it starts in the storage, in bytes.</param>
    /// <param name="length">Its size in bytes; a multiple of its largest block.</param>
    /// <param name="smallestShift">The storage's block as a power of two.</param>
    /// <param name="blockShift">Its block as a power of two.</param>
    internal NvmeSpace(uint id, long start, long length, int smallestShift, int blockShift)
    {
        Id = id;
        Start = start;
        Length = length;
        _smallestShift = smallestShift;
        _blockShift = blockShift;
    }

    internal uint Id { get; }

    internal long Start { get; }

    internal long Length { get; }

    /// <summary>Size of a block as a power of two: 9 or 12, or what the storage has.</summary>
    internal int BlockShift => _blockShift;

    internal ulong Blocks => (ulong)Length >> _blockShift;

    /// <summary>Whether the controller is attached to it: it is active.</summary>
    internal bool IsAttached
    {
        get => _isAttached;
        set => _isAttached = value;
    }

    /// <summary>Blocks that Write Uncorrectable made unreadable.</summary>
    internal NvmeBadBlocks BadBlocks { get; } = new();

    /// <summary>The formats that it can have, as powers of two: LBAF0 and on.</summary>
    internal ReadOnlySpan<int> Formats => _smallestShift switch
    {
        9 => [9, 12],
        10 => [10, 12],
        11 => [11, 12],
        _ => [12],
    };

    /// <summary>FLBAS: which of <see cref="Formats"/> it has.</summary>
    internal int Format => Formats.IndexOf(_blockShift);

    /// <summary>Gives it another block size.</summary>
    /// <param name="format">Of <see cref="Formats"/>.</param>
    internal void SetFormat(int format) => _blockShift = Formats[format];

    /// <summary>Saves its format, whether it is attached, and its unreadable blocks.</summary>
    internal void Save(StateWriter state)
    {
        state.Write((byte)Format);
        state.Write(_isAttached);
        BadBlocks.Save(state);
    }

    /// <summary>Restores what <see cref="Save"/> wrote.</summary>
    internal bool TryRestore(ref StateReader state)
    {
        if (!state.TryRead(out byte format) || format >= Formats.Length || !state.TryRead(out byte isAttached))
            return false;
        SetFormat(format);
        _isAttached = isAttached != 0;
        return BadBlocks.TryRestore(ref state);
    }
}
