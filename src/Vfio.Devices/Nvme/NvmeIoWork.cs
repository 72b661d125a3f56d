using System.Buffers.Binary;

namespace Vfio.Devices.Nvme;

/// <summary>A queue of I/O commands.</summary>
/// <remarks>NVM Command Set Specification 1.0, section 3.2.</remarks>
internal sealed class NvmeIoWork(NvmeEngine controller, int id, Iova start, int entries, NvmeCompletionQueue completions)
    : NvmeQueueWork(controller, id, start, entries, completions)
{
    private const byte Flush = 0x00, Write = 0x01, Read = 0x02, WriteUncorrectable = 0x04, Compare = 0x05, WriteZeroes = 0x08,
        DatasetManagement = 0x09, Verify = 0x0c;

    private const int FusedFirst = 1, FusedSecond = 2;
    private const uint ForceUnitAccess = 1u << 30;
    private readonly NvmeDrive _drive = controller.Drive;
    private readonly NvmeDisk _disk = controller.Drive.Disk;
    private NvmeCommand? _first;
    private readonly Queue<NvmeCommand> _again = [];
    private byte[] _stored = [];

    /// <summary>The opcodes, for the log of commands supported and their effects.</summary>
    internal static ReadOnlySpan<byte> Opcodes =>
        [Flush, Write, Read, WriteUncorrectable, Compare, WriteZeroes, DatasetManagement, Verify];

    /// <inheritdoc/>
    protected override int Unfinished => _first is null ? 0 : 1;

    /// <inheritdoc/>
    internal override void Add(in NvmeCommand command) => _again.Enqueue(command);

    /// <inheritdoc/>
    internal override IReadOnlyCollection<NvmeCommand> Again => _again;

    /// <inheritdoc/>
    protected override bool TryDoOther()
    {
        if (_again.Count == 0 || !HasRoom())
            return false;
        NvmeCommand command = _again.Dequeue();
        MarkUnderWay(command.Id);
        NvmeOutcome outcome = DoOne(command);
        if (IsAbandoned || (outcome != NvmeOutcome.Kept && !Post(command.Id, Record(command, outcome))))
            return false;
        MarkUnderWay(null);
        return true;
    }

    /// <inheritdoc/>
    protected override NvmeOutcome Do(in NvmeCommand command)
    {
        if (command.Fuse != 0 || _first is not null)
            return DoFused(command);
        return DoOne(command);
    }

    private NvmeOutcome DoOne(in NvmeCommand command)
    {
        if (!Opcodes.Contains(command.Opcode))
            return NvmeOutcome.InvalidOpcode;

        // Before the checks: a Format or a Sanitize that begins after them is seen by the write.
        Generation = _disk.Generation;
        if (_drive.Sanitize.IsRunning)
            return NvmeOutcome.SanitizeInProgress;
        if (_drive.Sanitize.HasFailed)
            return NvmeOutcome.SanitizeFailed;
        if (command.Opcode == Flush && command.NamespaceId == uint.MaxValue)
            return MakeDurable();
        if (_drive.Find(command.NamespaceId) is not { } space)
            return NvmeOutcome.InvalidNamespace;
        if (!space.IsAttached)
            return NvmeOutcome.InvalidField;
        uint formatting = Controller.Formatting;
        if (formatting != 0 && (formatting == space.Id || formatting == uint.MaxValue))
            return NvmeOutcome.FormatInProgress;
        return command.Opcode switch
        {
            Flush => MakeDurable(),
            DatasetManagement => Deallocate(command, space),
            _ => DoRange(command, space),
        };
    }

    /// <summary>A command for a range of blocks.</summary>
    private NvmeOutcome DoRange(in NvmeCommand command, NvmeSpace space)
    {
        int shift = space.BlockShift;
        bool isTransfer = command.Opcode is Read or Write or Compare;
        if (isTransfer && command.Blocks << shift > NvmeData.LargestBytes)
            return NvmeOutcome.InvalidField;
        ulong blocks = (ulong)space.Length >> shift;
        if (command.Block > blocks || command.Blocks > blocks - command.Block)
            return NvmeOutcome.OutOfRange;
        long offset = space.Start + ((long)command.Block << shift);
        long length = (long)command.Blocks << shift;
        return command.Opcode switch
        {
            Read => DoRead(command, space, offset, (int)length),
            Write => DoWrite(command, space, offset, (int)length),
            Compare => DoCompare(command, space, offset, (int)length),
            Verify => DoVerify(command, space, offset, length),
            WriteZeroes => DoZeroes(command, space, offset, length),
            _ => DoUncorrectable(space, offset, length),
        };
    }

    private NvmeOutcome DoRead(in NvmeCommand command, NvmeSpace space, long offset, int count)
    {
        if (space.BadBlocks.Overlap(offset, count))
            return Count(NvmeOutcome.UnrecoveredRead.ForGood);

        // Data that is read with this bit is on the medium before it is returned (section 3.2.4).
        bool isDurable = (command.Dword12 & ForceUnitAccess) != 0;
        NvmeOutcome outcome = isDurable ? MakeDurable() : NvmeOutcome.Success;
        if (outcome != NvmeOutcome.Success)
            return outcome == NvmeOutcome.Kept ? outcome : NvmeOutcome.UnrecoveredRead.ForGood;
        Span<byte> data = Data.Take(count);
        if (_disk.MayWait)
            LeaveFor(isLong: false);
        outcome = ReadOrHandOver(command, offset, data);
        if (_disk.MayWait && !Enter())
            return NvmeOutcome.Kept;
        if (outcome != NvmeOutcome.Success)
            return Count(outcome);
        Tally.Reads++;
        Tally.BytesRead += count;
        return Data.Send(Bus, command, count);
    }

    /// <summary>Reads, or has another thread do so where the medium is slow and there are more commands to do.</summary>
    private NvmeOutcome ReadOrHandOver(in NvmeCommand command, long offset, Span<byte> data)
    {
        if (_disk.MayWait)
        {
            if (_disk.TryRead(this, offset, data) is { } outcome)
                return outcome;
            if (HasNext)
            {
                // Inside a section: a transfer that is made after a reset would be work of the next driver.
                if (!Enter())
                    return NvmeOutcome.Kept;
                bool isGiven = Controller.TryTransfer(this, command, offset, data.Length);
                Leave();
                if (isGiven)
                    return NvmeOutcome.Kept;
            }
        }

        return _disk.Read(this, offset, data);
    }

    private NvmeOutcome DoWrite(in NvmeCommand command, NvmeSpace space, long offset, int count)
    {
        if (_disk.IsReadOnly)
            return NvmeOutcome.WriteProtected;
        if (!space.BadBlocks.CanRemove(offset, count))
            return NvmeOutcome.InternalError;
        NvmeOutcome outcome = Data.Receive(Bus, command, count);
        if (outcome != NvmeOutcome.Success)
            return outcome;
        bool isForced = (command.Dword12 & ForceUnitAccess) != 0;
        if (_disk.MayWait)
            LeaveFor(isLong: isForced || !Controller.HasWriteCache);
        outcome = _disk.Write(this, offset, Data.Take(count));
        if (outcome == NvmeOutcome.Success)
            space.BadBlocks.Remove(offset, count);
        outcome = FinishWrite(outcome, isForced);
        if (outcome == NvmeOutcome.Stale)
            return DoOne(command);
        if (outcome != NvmeOutcome.Success)
            return Count(outcome);
        Tally.Writes++;
        Tally.BytesWritten += count;
        return outcome;
    }

    /// <summary>Makes a write durable where it has to be, and enters again.</summary>
    private NvmeOutcome FinishWrite(NvmeOutcome outcome, bool isForced)
    {
        // Read after the write: a write that finds the cache on came before it is disabled, and the flush of that includes it.
        bool isDurable = isForced || !Controller.HasWriteCache;
        if (outcome == NvmeOutcome.Success && isDurable)
            outcome = _disk.Flush(this);
        return _disk.MayWait && !Enter() ? NvmeOutcome.Kept : outcome;
    }

    private NvmeOutcome DoCompare(in NvmeCommand command, NvmeSpace space, long offset, int count)
    {
        if (space.BadBlocks.Overlap(offset, count))
            return Count(NvmeOutcome.UnrecoveredRead.ForGood);
        NvmeOutcome outcome = Data.Receive(Bus, command, count);
        if (outcome != NvmeOutcome.Success)
            return outcome;
        if (_stored.Length < count)
            _stored = new byte[count];
        Span<byte> stored = _stored.AsSpan(0, count);
        if (_disk.MayWait)
            LeaveFor(isLong: false);
        outcome = _disk.Read(this, offset, stored);
        if (_disk.MayWait && !Enter())
            return NvmeOutcome.Kept;
        if (outcome != NvmeOutcome.Success)
            return Count(outcome);
        Tally.Reads++;
        Tally.BytesRead += count;
        return stored.SequenceEqual(Data.Take(count)) ? NvmeOutcome.Success : NvmeOutcome.CompareFailure;
    }

    /// <summary>Reads blocks for nobody, by pieces: whether they can be read.</summary>
    private NvmeOutcome DoVerify(in NvmeCommand command, NvmeSpace space, long offset, long length)
    {
        if (space.BadBlocks.Overlap(offset, length))
            return Count(NvmeOutcome.UnrecoveredRead.ForGood);
        if (!_disk.MayWait)
            return NvmeOutcome.Success;
        LeaveFor(isLong: true);
        NvmeOutcome outcome = NvmeOutcome.Success;
        while (length > 0 && outcome == NvmeOutcome.Success)
        {
            if (ShouldReturn)
                return KeepForLater(command);
            int count = (int)Math.Min(length, NvmeData.LargestBytes);
            outcome = _disk.Read(this, offset, Data.Take(count));
            offset += count;
            length -= count;
        }

        return Enter() ? Count(outcome) : NvmeOutcome.Kept;
    }

    /// <summary>Has a command that a pause interrupts begin again when the device goes on; enters again.</summary>
    private NvmeOutcome KeepForLater(in NvmeCommand command)
    {
        if ((!_disk.MayWait || Enter()) && !IsAbandoned)
            _again.Enqueue(command);
        return NvmeOutcome.Kept;
    }

    private NvmeOutcome DoZeroes(in NvmeCommand command, NvmeSpace space, long offset, long length)
    {
        const uint Deallocate = 1u << 25;
        if (_disk.IsReadOnly)
            return NvmeOutcome.WriteProtected;
        if (!space.BadBlocks.CanRemove(offset, length))
            return NvmeOutcome.InternalError;
        if (_disk.MayWait)
            LeaveFor(isLong: true);
        NvmeOutcome outcome = _disk.Zero(this, offset, length, (command.Dword12 & Deallocate) != 0);
        if (outcome == NvmeOutcome.Success)
            space.BadBlocks.Remove(offset, length);
        return FinishZeroes(command, outcome, (command.Dword12 & ForceUnitAccess) != 0);
    }

    private NvmeOutcome FinishZeroes(in NvmeCommand command, NvmeOutcome outcome, bool isForced)
    {
        // Zeroes are only kept when this is abandoned, or paused.
        if (outcome == NvmeOutcome.Kept)
            return KeepForLater(command);
        outcome = FinishWrite(outcome, isForced);
        return outcome == NvmeOutcome.Stale ? DoOne(command) : Count(outcome);
    }

    private NvmeOutcome DoUncorrectable(NvmeSpace space, long offset, long length) =>
        _disk.IsReadOnly ? NvmeOutcome.WriteProtected
        : space.BadBlocks.TryAdd(offset, length) ? NvmeOutcome.Success
        : NvmeOutcome.InternalError;

    /// <summary>Dataset Management: gives the place of ranges back, which are zeros from then on. Other hints are of no use.</summary>
    private NvmeOutcome Deallocate(in NvmeCommand command, NvmeSpace space)
    {
        const int RangeBytes = 16;
        const uint AttributeDeallocate = 4;
        int ranges = (int)(command.Dword10 & 0xff) + 1;
        NvmeOutcome outcome = Data.Receive(Bus, command, ranges * RangeBytes);
        if (outcome != NvmeOutcome.Success)
            return outcome;
        ReadOnlySpan<byte> list = Data.Take(ranges * RangeBytes);
        int shift = space.BlockShift;
        ulong blocks = (ulong)space.Length >> shift;

        // All are checked before one is done.
        for (int i = 0; i < ranges; i++)
        {
            (ulong block, ulong count) = ReadRange(list[(i * RangeBytes)..]);
            if (block > blocks || count > blocks - block)
                return NvmeOutcome.OutOfRange;
        }

        if ((command.Dword11 & AttributeDeallocate) == 0)
            return NvmeOutcome.Success;
        if (_disk.IsReadOnly)
            return NvmeOutcome.WriteProtected;
        if (_disk.MayWait)
            LeaveFor(isLong: true);
        for (int i = 0; i < ranges && outcome == NvmeOutcome.Success; i++)
        {
            (ulong block, ulong count) = ReadRange(list[(i * RangeBytes)..]);
            long offset = space.Start + ((long)block << shift);
            long length = (long)count << shift;
            if (length == 0)
                continue;
            if (!space.BadBlocks.CanRemove(offset, length))
                outcome = NvmeOutcome.InternalError;
            else
                outcome = _disk.Deallocate(this, offset, length);
            if (outcome == NvmeOutcome.Success)
                space.BadBlocks.Remove(offset, length);
        }

        return FinishZeroes(command, outcome, isForced: false);

        static (ulong Block, ulong Count) ReadRange(ReadOnlySpan<byte> range) =>
            (BinaryPrimitives.ReadUInt64LittleEndian(range[8..]), BinaryPrimitives.ReadUInt32LittleEndian(range[4..]));
    }

    /// <summary>Two commands as one: a compare, and a write that is done when it finds what it expects.</summary>
    private NvmeOutcome DoFused(in NvmeCommand command)
    {
        if (_first is not { } first)
        {
            if (command.Fuse != FusedFirst)
                return command.Fuse == FusedSecond ? NvmeOutcome.FusedMissing : NvmeOutcome.InvalidField;
            if (command.Opcode != Compare)
                return NvmeOutcome.InvalidField;

            // Both come with one doorbell (section 3.4.2 of the Base Specification).
            if (!HasNext)
                return NvmeOutcome.FusedMissing;
            _first = command;
            return NvmeOutcome.Kept;
        }

        _first = null;
        if (command.Fuse != FusedSecond)
        {
            Post(first, NvmeOutcome.FusedMissing);
            return Do(command);
        }

        bool isPair = command.Opcode == Write && command.NamespaceId == first.NamespaceId
            && command.Block == first.Block && command.Blocks == first.Blocks;
        if (!isPair)
        {
            Post(first, NvmeOutcome.InvalidField);
            return NvmeOutcome.FusedFailed;
        }

        (long offset, long length) = _drive.Find(first.NamespaceId) is { } space && command.Block < space.Blocks
            ? (space.Start + ((long)command.Block << space.BlockShift), (long)command.Blocks << space.BlockShift)
            : (0, 0);
        Leave();
        if (!Controller.TryBeginFused(this, offset, length))
            return NvmeOutcome.Kept;
        NvmeOutcome compared = NvmeOutcome.Kept;
        NvmeOutcome written = NvmeOutcome.Kept;
        try
        {
            if (Enter())
            {
                compared = DoOne(first);
                written = compared == NvmeOutcome.Success ? DoOne(command) : NvmeOutcome.FusedFailed;
            }
        }
        finally
        {
            _disk.EndFused();
        }

        if (compared == NvmeOutcome.Kept || IsAbandoned)
            return NvmeOutcome.Kept;
        Post(first, compared);
        return written;
    }

    private void Post(in NvmeCommand command, NvmeOutcome outcome) => Post(command.Id, Record(command, outcome));

    private NvmeOutcome MakeDurable()
    {
        if (!_disk.MayWait)
            return NvmeOutcome.Success;
        LeaveFor(isLong: true);
        NvmeOutcome outcome = _disk.Flush(this);
        return Enter() ? outcome : NvmeOutcome.Kept;
    }

    /// <summary>Counts a failure of the medium.</summary>
    private NvmeOutcome Count(NvmeOutcome outcome)
    {
        if (outcome.Status > 0)
            Tally.MediaErrors++;
        return outcome;
    }
}
