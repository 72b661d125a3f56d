namespace Vfio.Devices.Nvme;

/// <summary>A queue of reads, writes and flushes.</summary>
internal sealed class NvmeIoWork(NvmeEngine controller, int id, Iova start, int entries, NvmeCompletionQueue completions)
    : NvmeQueueWork(controller, id, start, entries, completions)
{
    private const byte Flush = 0x00, Write = 0x01, Read = 0x02;
    private const uint ForceUnitAccess = 1u << 30;
    private readonly NvmeDisk _disk = controller.Disk;

    /// <inheritdoc/>
    protected override NvmeOutcome Do(in NvmeCommand command)
    {
        if (command.Opcode is not (Flush or Write or Read))
            return NvmeOutcome.InvalidOpcode;
        if (command.NamespaceId != NvmeEngine.NamespaceId && !(command.Opcode == Flush && command.NamespaceId == uint.MaxValue))
            return NvmeOutcome.InvalidNamespace;
        if (command.Opcode == Flush)
            return MakeDurable();
        ulong block = command.Dword10 | (ulong)command.Dword11 << 32;
        ulong wanted = (command.Dword12 & 0xffff) + 1;
        ulong blocks = (ulong)(_disk.Length >> _disk.BlockShift);
        if (wanted << _disk.BlockShift > NvmeData.LargestBytes)
            return NvmeOutcome.InvalidField;
        if (block > blocks || wanted > blocks - block)
            return NvmeOutcome.OutOfRange;
        long offset = (long)block << _disk.BlockShift;
        int count = (int)wanted << _disk.BlockShift;
        return command.Opcode == Read ? DoRead(command, offset, count) : DoWrite(command, offset, count);
    }

    private NvmeOutcome DoRead(in NvmeCommand command, long offset, int count)
    {
        // Data that is read with this bit is on the medium before it is returned (NVM Express 1.4, section 6.9, Read).
        bool isDurable = (command.Dword12 & ForceUnitAccess) != 0;
        NvmeOutcome outcome = isDurable ? MakeDurable() : NvmeOutcome.Success;
        if (outcome != NvmeOutcome.Success)
            return outcome == NvmeOutcome.WriteFault ? NvmeOutcome.UnrecoveredRead : outcome;
        if (_disk.MayWait)
            LeaveFor(isLong: false);
        outcome = _disk.Read(this, offset, Data.Bytes[..count]);
        if (_disk.MayWait && !Enter())
            return NvmeOutcome.Kept;
        return outcome == NvmeOutcome.Success ? Data.Send(Bus, command, count) : outcome;
    }

    private NvmeOutcome DoWrite(in NvmeCommand command, long offset, int count)
    {
        if (_disk.IsReadOnly)
            return NvmeOutcome.WriteProtected;
        NvmeOutcome outcome = Data.Receive(Bus, command, count);
        if (outcome != NvmeOutcome.Success)
            return outcome;
        bool isForced = (command.Dword12 & ForceUnitAccess) != 0;
        if (_disk.MayWait)
            LeaveFor(isLong: isForced || !Controller.HasWriteCache);
        outcome = _disk.Write(this, offset, Data.Bytes[..count]);

        // Read after the write: a write that finds the cache on came before it is disabled, and the flush of that includes it.
        bool isDurable = isForced || !Controller.HasWriteCache;
        if (outcome == NvmeOutcome.Success && isDurable)
            outcome = _disk.Flush(this);
        return _disk.MayWait && !Enter() ? NvmeOutcome.Kept : outcome;
    }

    private NvmeOutcome MakeDurable()
    {
        if (!_disk.MayWait)
            return NvmeOutcome.Success;
        LeaveFor(isLong: true);
        NvmeOutcome outcome = _disk.Flush(this);
        return Enter() ? outcome : NvmeOutcome.Kept;
    }
}
