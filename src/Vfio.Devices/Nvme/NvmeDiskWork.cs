using Vfio.Guard;

namespace Vfio.Devices.Nvme;

/// <summary>Work that reads and writes the disk, and says so: a reset, and a fused command, look at it.</summary>
internal abstract class NvmeDiskWork(NvmeFunction function) : DeviceWork(function)
{
    private int _isAtDisk;
    private long _writeStart;
    private long _writeEnd;

    /// <summary>Whether it is in the middle of a read or a write of the disk.</summary>
    internal bool IsAtDisk => Volatile.Read(ref _isAtDisk) != 0;

    /// <summary>Which format of the disk its command was checked against: <see cref="NvmeDisk.Generation"/>. For its own thread.</summary>
    internal int Generation { get; set; }

    /// <summary>Announces a write of the disk: a full barrier follows.</summary>
    internal void MarkWriting(long start, long end)
    {
        Volatile.Write(ref _writeStart, start);
        Interlocked.Exchange(ref _writeEnd, end);
    }

    internal void MarkWritten() => Volatile.Write(ref _writeEnd, 0);

    /// <summary>Whether it is in the middle of a write that has bytes of a range.</summary>
    internal bool IsWriting(long start, long end)
    {
        // The end first: it is written last, and is 0 between writes.
        long writeEnd = Volatile.Read(ref _writeEnd);
        return writeEnd > start && Volatile.Read(ref _writeStart) < end;
    }

    internal void MarkAtDisk() => Interlocked.Exchange(ref _isAtDisk, 1);

    internal void MarkAway() => Interlocked.Exchange(ref _isAtDisk, 0);
}
