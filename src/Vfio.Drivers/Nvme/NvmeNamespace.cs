using Vfio.Pci;
using Vfio.Pci.Config;

namespace Vfio.Drivers.Nvme;

/// <summary>A namespace: so many logical blocks of so many bytes.</summary>
public sealed class NvmeNamespace
{
    private const int LargestBlockShift = 16;

    /// <summary>DW12 of read and write holds the number of blocks less one in 16 bits.</summary>
    private const int MaxBlocksOfCommand = 1 << 16;

    private readonly NvmeController _controller;

    internal NvmeNamespace(NvmeController controller, uint id, in NvmeIdentifyNamespace fields, NvmeStatus status)
    {
        _controller = controller;
        Id = id;
        Status = status;
        uint format = fields.Formats[(fields.Format & 0xf) | (int)((uint)fields.Format).Get(6, 5) << 4];
        int shift = (int)format.Get(23, 16);
        MetadataBytes = (int)format.Get(15, 0);
        BlockBytes = shift is >= 9 and <= LargestBlockShift ? 1 << shift : 0;
        Blocks = (long)Math.Min(fields.SizeBlocks, (ulong)(long.MaxValue >> LargestBlockShift));
        UsedBlocks = (long)Math.Min(fields.UsedBlocks, fields.SizeBlocks);
        IsProtected = (fields.Protection & 7) != 0;
        int transfer = BlockBytes == 0 ? 0 : controller.Info.MaxTransferBytes / BlockBytes;
        MaxTransferBlocks = Math.Min(transfer, MaxBlocksOfCommand);
    }

    /// <summary>Its number, from 1.</summary>
    public uint Id { get; }

    /// <summary>What the controller answered when it was asked about it; where that is a refusal, all numbers here are 0.</summary>
    public NvmeStatus Status { get; }

    /// <summary>Whether it could be asked about, and so can be used.</summary>
    public bool IsReady => Status.IsSuccess;

    /// <summary>How many blocks it has.</summary>
    public long Blocks { get; }

    /// <summary>How many blocks are allocated; as many as <see cref="Blocks"/> where the controller does not count.</summary>
    public long UsedBlocks { get; }

    /// <summary>Bytes of a block: a power of two of at least 512; 0 when the namespace has no such format.</summary>
    public int BlockBytes { get; }

    /// <summary>Bytes of metadata that go with each block.</summary>
    public int MetadataBytes { get; }

    /// <summary>Whether blocks carry protection information.</summary>
    public bool IsProtected { get; }

    /// <summary>Size in bytes, without metadata.</summary>
    public long Length => Blocks * BlockBytes;

    /// <summary>How many blocks one command moves at most.</summary>
    public int MaxTransferBlocks { get; }

    /// <summary>The controller that has it; do not dispose it.</summary>
    public NvmeController Controller => _controller;

    /// <summary>Opens it as a device of bytes.</summary>
    /// <param name="options">How; null for the defaults.</param>
    /// <exception cref="VfioException">ENOTSUP: its blocks have metadata; else what the controller refused, EBUSY where the namespace is
    /// not ready.</exception>
    public NvmeBlockDevice Open(NvmeBlockDeviceOptions? options = null)
    {
        CheckUsable();
        return new NvmeBlockDevice(this, options ?? new NvmeBlockDeviceOptions());
    }

    /// <summary>The controller and the number: <c>0000:01:00.0 namespace 1</c>.</summary>
    public override string ToString() => $"{_controller.Name} namespace {Id}";

    /// <summary>Checks that this driver can read and write it.</summary>
    /// <exception cref="VfioException">ENOTSUP: its blocks have metadata, or a size that is not usual; else why it is not ready.</exception>
    public void CheckUsable()
    {
        if (!IsReady)
            throw new VfioException("opening", ToString(), Status.Errno, $"when it was asked about, the answer was: {Status}");
        string? reason = BlockBytes == 0 ? "its blocks have a size that is not usual"
            : MaxTransferBlocks == 0 ? "its blocks are larger than what one command moves"
            : MetadataBytes != 0 || IsProtected ? $"its blocks carry {MetadataBytes} bytes of metadata, which this driver does not handle"
            : null;
        if (reason is not null)
            throw new VfioException("opening", ToString(), Errno.NotSupported, reason);
    }

    /// <summary>Checks a range of blocks.</summary>
    /// <returns>Its size in bytes.</returns>
    internal int CheckRange(long block, int blocks)
    {
        if (blocks < 1 || blocks > MaxTransferBlocks || block < 0 || block > Blocks - blocks)
            ThrowBadRange(block, blocks);
        return blocks * BlockBytes;
    }

    private void ThrowBadRange(long block, int blocks)
    {
        CheckUsable();
        throw new ArgumentOutOfRangeException(
            nameof(block), $"{blocks} blocks at {block}: {this} has {Blocks}, and a command moves 1 to {MaxTransferBlocks}");
    }
}
