using Vfio.Native;

namespace Vfio.Devices.Nvme;

/// <summary>The controller behind its registers: fetches commands, does them, posts completions.</summary>
/// <remarks>One thread at a time. It has no lock, no thread and no interrupt of its own: the shell asks it to step, with the
/// doorbells as they are, and interrupts for what it posted.</remarks>
internal sealed class NvmeEngine(NvmeStorage storage)
{
    /// <summary>The one namespace.</summary>
    internal const uint NamespaceId = 1;

    /// <summary>How many queue pairs there are besides the admin queues.</summary>
    internal const int IoQueues = 16;

    /// <summary>How many Asynchronous Event Requests it keeps; nothing happens here that it would answer them with.</summary>
    internal const int EventRequests = 4;

    private const int MaxEntries = 1024;

    /// <summary>Commands of one queue before the next has its turn.</summary>
    private const int Burst = 16;

    private const int CommandBytes = 64;
    private readonly NvmeSubmissionQueue?[] _submissions = new NvmeSubmissionQueue?[IoQueues + 1];
    private readonly NvmeCompletionQueue?[] _completions = new NvmeCompletionQueue?[IoQueues + 1];
    private readonly uint[] _features = new uint[256];
    private readonly NvmeData _data = new();
    private readonly byte[] _entry = new byte[CommandBytes];
    private int _eventRequests;

    /// <summary>Whether the admin queues are there.</summary>
    internal bool IsEnabled => _submissions[0] is not null;

    /// <summary>Turns it on.</summary>
    /// <param name="configuration">CC.</param>
    /// <param name="attributes">AQA.</param>
    /// <param name="submissions">ASQ.</param>
    /// <param name="completions">ACQ.</param>
    /// <returns>False when the driver asks for what this controller does not have: a fatal status.</returns>
    internal bool TryEnable(uint configuration, uint attributes, Iova submissions, Iova completions)
    {
        uint commandSetPagesAndArbitration = configuration & 0x3ff0;
        uint submissionEntries = (attributes & 0xfff) + 1;
        uint completionEntries = (attributes >> 16) + 1;
        if (commandSetPagesAndArbitration != 0 || submissionEntries < 2 || completionEntries < 2)
            return false;
        NvmeCompletionQueue queue = new(0, completions, (int)completionEntries, vector: 0) { Users = 1 };
        _completions[0] = queue;
        _submissions[0] = new NvmeSubmissionQueue(submissions, (int)submissionEntries, queue);
        _features[0x06] = 1; // the write cache is on
        return true;
    }

    /// <summary>Forgets all queues and commands.</summary>
    internal void Disable()
    {
        Array.Clear(_submissions);
        Array.Clear(_completions);
        Array.Clear(_features);
        _eventRequests = 0;
    }

    /// <summary>Makes what was written last, before a shutdown is complete.</summary>
    internal void Flush()
    {
        try
        {
            storage.Flush();
        }
        catch (IOException)
        {
            // A shutdown has no way to report it; the next read will.
        }
    }

    /// <summary>Does commands of each queue in turn.</summary>
    /// <param name="slot">The bus.</param>
    /// <param name="doorbells">Tail of queue n at 2n, head at 2n + 1; the driver writes them meanwhile.</param>
    /// <param name="vectors">Set for each vector to interrupt with.</param>
    /// <returns>False when there was nothing to do.</returns>
    internal bool Step(IPciSlot slot, int[] doorbells, bool[] vectors)
    {
        bool any = false;
        for (int id = 0; id <= IoQueues; id++)
        {
            for (int i = 0; i < Burst && TryDoNext(slot, id, doorbells); i++)
                any = true;
        }

        foreach (NvmeCompletionQueue? queue in _completions)
        {
            if (queue is not { IsNew: true })
                continue;
            queue.IsNew = false;
            if (queue.Vector is { } vector)
                vectors[vector] = true;
        }

        return any;
    }

    private bool TryDoNext(IPciSlot slot, int id, int[] doorbells)
    {
        if (_submissions[id] is not { } queue)
            return false;
        int tail = Volatile.Read(ref doorbells[2 * id]);
        int head = Volatile.Read(ref doorbells[(2 * queue.Completions.Id) + 1]);
        if (tail == queue.Head || tail >= queue.Entries || queue.Completions.IsFull(head))
            return false;
        bool isFetched = slot.ReadMemory(queue.HeadAddress, _entry) == Errno.None;
        queue.Advance();
        NvmeCommand command = isFetched ? Blittable.Read<NvmeCommand>(_entry) : default;
        NvmeOutcome outcome = !isFetched ? NvmeOutcome.DataTransferError
            : command.Flags != 0 ? NvmeOutcome.InvalidField
            : id == 0 ? DoAdmin(slot, command, doorbells)
            : DoIo(slot, command);
        if (outcome != NvmeOutcome.Kept)
            Post(slot, id, queue, command.Id, outcome);
        return true;
    }

    private static void Post(IPciSlot slot, int id, NvmeSubmissionQueue queue, ushort command, NvmeOutcome outcome)
    {
        NvmeCompletionQueue completions = queue.Completions;
        Span<uint> dwords =
        [
            outcome.Result,
            0,
            (uint)queue.Head | (uint)id << 16,
            command | (uint)completions.Phase << 16 | (uint)outcome.Status << 17,
        ];
        ReadOnlySpan<byte> bytes = Blittable.AsBytes<uint>(dwords);

        // The phase tag last, so that a driver that sees it sees the rest. Where nobody can be told, nobody is.
        const int LastDword = 12;
        _ = slot.WriteMemory(completions.TailAddress, bytes[..LastDword]);
        _ = slot.WriteMemory(completions.TailAddress + LastDword, bytes[LastDword..]);
        completions.Advance();
    }

    private NvmeOutcome DoIo(IPciSlot slot, in NvmeCommand command)
    {
        const byte Flush = 0x00, Write = 0x01, Read = 0x02;
        if (command.Opcode is not (Flush or Write or Read))
            return NvmeOutcome.InvalidOpcode;
        if (command.NamespaceId != NamespaceId && !(command.Opcode == Flush && command.NamespaceId == uint.MaxValue))
            return NvmeOutcome.InvalidNamespace;
        try
        {
            if (command.Opcode == Flush)
            {
                storage.Flush();
                return NvmeOutcome.Success;
            }

            ulong block = command.Dword10 | (ulong)command.Dword11 << 32;
            int count = (int)((command.Dword12 & 0xffff) + 1) << NvmeIdentity.BlockShift;
            ulong blocks = (ulong)(storage.Length >> NvmeIdentity.BlockShift);
            ulong wanted = (ulong)count >> NvmeIdentity.BlockShift;
            if (count > NvmeData.LargestBytes)
                return NvmeOutcome.InvalidField;
            if (block > blocks || wanted > blocks - block)
                return NvmeOutcome.OutOfRange;
            long offset = (long)block << NvmeIdentity.BlockShift;
            if (command.Opcode == Read)
            {
                storage.Read(offset, _data.Bytes[..count]);
                return _data.Send(slot, command, count);
            }

            NvmeOutcome outcome = _data.Receive(slot, command, count);
            if (outcome == NvmeOutcome.Success)
                storage.Write(offset, _data.Bytes[..count]);
            return outcome;
        }
        catch (IOException)
        {
            return command.Opcode == Read ? NvmeOutcome.UnrecoveredRead : NvmeOutcome.WriteFault;
        }
    }

    private NvmeOutcome DoAdmin(IPciSlot slot, in NvmeCommand command, int[] doorbells) => command.Opcode switch
    {
        0x00 => DeleteSubmissionQueue(command),
        0x01 => CreateSubmissionQueue(command, doorbells),
        0x02 => GetLogPage(slot, command),
        0x04 => DeleteCompletionQueue(command),
        0x05 => CreateCompletionQueue(command, doorbells),
        0x06 => Identify(slot, command),
        0x08 => new NvmeOutcome(0, Result: 1), // Abort: commands are done at once, so none is left to abort
        0x09 => SetFeature(command),
        0x0a => GetFeature(command),
        0x0c => KeepEventRequest(),
        _ => NvmeOutcome.InvalidOpcode,
    };

    private NvmeOutcome CreateCompletionQueue(in NvmeCommand command, int[] doorbells)
    {
        int id = (int)(command.Dword10 & 0xffff);
        int entries = (int)(command.Dword10 >> 16) + 1;
        int vector = (int)(command.Dword11 >> 16);
        bool isContiguous = (command.Dword11 & 1) != 0;
        bool interrupts = (command.Dword11 & 2) != 0;
        if (id is < 1 or > IoQueues || _completions[id] is not null)
            return NvmeOutcome.InvalidQueueId;
        if (entries is < 2 or > MaxEntries)
            return NvmeOutcome.InvalidQueueSize;
        if (vector > IoQueues)
            return NvmeOutcome.InvalidVector;
        if (!isContiguous || command.Prp1 % 4096 != 0)
            return isContiguous ? NvmeOutcome.InvalidPrpOffset : NvmeOutcome.InvalidField;
        Volatile.Write(ref doorbells[(2 * id) + 1], 0);
        _completions[id] = new NvmeCompletionQueue(id, new Iova(command.Prp1), entries, interrupts ? vector : null);
        return NvmeOutcome.Success;
    }

    private NvmeOutcome CreateSubmissionQueue(in NvmeCommand command, int[] doorbells)
    {
        int id = (int)(command.Dword10 & 0xffff);
        int entries = (int)(command.Dword10 >> 16) + 1;
        int completions = (int)(command.Dword11 >> 16);
        bool isContiguous = (command.Dword11 & 1) != 0;
        if (completions is < 1 or > IoQueues || _completions[completions] is not { } queue)
            return NvmeOutcome.CompletionQueueInvalid;
        if (id is < 1 or > IoQueues || _submissions[id] is not null)
            return NvmeOutcome.InvalidQueueId;
        if (entries is < 2 or > MaxEntries)
            return NvmeOutcome.InvalidQueueSize;
        if (!isContiguous || command.Prp1 % 4096 != 0)
            return isContiguous ? NvmeOutcome.InvalidPrpOffset : NvmeOutcome.InvalidField;
        Volatile.Write(ref doorbells[2 * id], 0);
        queue.Users++;
        _submissions[id] = new NvmeSubmissionQueue(new Iova(command.Prp1), entries, queue);
        return NvmeOutcome.Success;
    }

    private NvmeOutcome DeleteSubmissionQueue(in NvmeCommand command)
    {
        int id = (int)(command.Dword10 & 0xffff);
        if (id is < 1 or > IoQueues || _submissions[id] is not { } queue)
            return NvmeOutcome.InvalidQueueId;
        queue.Completions.Users--;
        _submissions[id] = null;
        return NvmeOutcome.Success;
    }

    private NvmeOutcome DeleteCompletionQueue(in NvmeCommand command)
    {
        int id = (int)(command.Dword10 & 0xffff);
        if (id is < 1 or > IoQueues || _completions[id] is not { } queue)
            return NvmeOutcome.InvalidQueueId;
        if (queue.Users > 0)
            return NvmeOutcome.InvalidQueueDeletion;
        _completions[id] = null;
        return NvmeOutcome.Success;
    }

    private NvmeOutcome Identify(IPciSlot slot, in NvmeCommand command)
    {
        const int Length = 4096;
        Span<byte> data = _data.Bytes[..Length];
        bool isOurs = command.NamespaceId == NamespaceId;
        switch (command.Dword10 & 0xff)
        {
            case 0x00 when isOurs:
                NvmeIdentity.WriteNamespace(data, storage.Length);
                break;
            case 0x01:
                NvmeIdentity.WriteController(data);
                break;
            case 0x02 when command.NamespaceId < 0xffff_fffe:
                NvmeIdentity.WriteActive(data, command.NamespaceId);
                break;
            case 0x03 when isOurs:
                NvmeIdentity.WriteDescriptors(data);
                break;
            case 0x00 or 0x02 or 0x03:
                return NvmeOutcome.InvalidNamespace;
            default:
                return NvmeOutcome.InvalidField;
        }

        return _data.Send(slot, command, Length);
    }

    private NvmeOutcome GetLogPage(IPciSlot slot, in NvmeCommand command)
    {
        ulong dwords = (command.Dword10 >> 16 | (ulong)(command.Dword11 & 0xffff) << 16) + 1;
        ulong offset = command.Dword12 | (ulong)command.Dword13 << 32;
        const int Length = 4096;
        if (dwords * 4 > NvmeData.LargestBytes || offset > Length)
            return NvmeOutcome.InvalidField;
        if (!NvmeIdentity.TryWriteLog(_data.Bytes[..Length], (int)(command.Dword10 & 0xff)))
            return NvmeOutcome.InvalidLogPage;
        int count = (int)dwords * 4;
        int held = Math.Min(count, Length - (int)offset);
        _data.Bytes.Slice((int)offset, held).CopyTo(_data.Bytes);
        _data.Bytes[held..count].Clear(); // beyond the page's end
        return _data.Send(slot, command, count);
    }

    private NvmeOutcome SetFeature(in NvmeCommand command)
    {
        int feature = (int)(command.Dword10 & 0xff);
        if (feature == 0x07)
        {
            // Both counts are less one, and 65535 is reserved.
            uint submissions = command.Dword11 & 0xffff;
            uint completions = command.Dword11 >> 16;
            return submissions == 0xffff || completions == 0xffff ? NvmeOutcome.InvalidField : NumberOfQueues;
        }

        if (!IsFeature(feature))
            return NvmeOutcome.InvalidField;
        _features[feature] = command.Dword11;
        return NvmeOutcome.Success;
    }

    private NvmeOutcome GetFeature(in NvmeCommand command)
    {
        int feature = (int)(command.Dword10 & 0xff);
        if (feature == 0x07)
            return NumberOfQueues;
        return IsFeature(feature) ? new NvmeOutcome(0, _features[feature]) : NvmeOutcome.InvalidField;
    }

    private static NvmeOutcome NumberOfQueues => new(0, (IoQueues - 1) << 16 | (IoQueues - 1));

    // Arbitration, power, temperature threshold, error recovery, write cache, interrupts, atomicity, events.
    private static bool IsFeature(int feature) => feature is 0x01 or 0x02 or 0x04 or 0x05 or 0x06 or 0x08 or 0x09 or 0x0a or 0x0b;

    private NvmeOutcome KeepEventRequest() =>
        _eventRequests++ < EventRequests ? NvmeOutcome.Kept : NvmeOutcome.TooManyEventRequests;
}
