namespace Vfio.Devices.Nvme;

/// <summary>The queue of admin commands.</summary>
/// <remarks>NVM Express Base Specification 1.4, section 5. No command here waits for the disk.</remarks>
internal sealed class NvmeAdminWork(NvmeEngine controller, Iova start, int entries, NvmeCompletionQueue completions)
    : NvmeQueueWork(controller, 0, start, entries, completions)
{
    /// <summary>How many Asynchronous Event Requests it keeps; nothing happens here that it would answer them with.</summary>
    internal const int EventRequests = 4;

    private const int MaxEntries = 1024;
    private const int WriteCache = 0x06, NumberOfQueues = 0x07;
    private readonly uint[] _features = new uint[256];
    private readonly NvmeDisk _disk = controller.Disk;
    private int _eventRequests;

    /// <inheritdoc/>
    protected override NvmeOutcome Do(in NvmeCommand command) => command.Opcode switch
    {
        0x00 => DeleteSubmissionQueue(command),
        0x01 => CreateSubmissionQueue(command),
        0x02 => GetLogPage(command),
        0x04 => DeleteCompletionQueue(command),
        0x05 => CreateCompletionQueue(command),
        0x06 => Identify(command),
        0x08 => new NvmeOutcome(0, Result: 1), // Abort: what is fetched is done, however long it takes, so it is not aborted
        0x09 => SetFeature(command),
        0x0a => GetFeature(command),
        0x0c => KeepEventRequest(),
        _ => NvmeOutcome.InvalidOpcode,
    };

    private NvmeOutcome CreateCompletionQueue(in NvmeCommand command)
    {
        int id = (int)(command.Dword10 & 0xffff);
        int entries = (int)(command.Dword10 >> 16) + 1;
        int vector = (int)(command.Dword11 >> 16);
        bool isContiguous = (command.Dword11 & 1) != 0;
        bool interrupts = (command.Dword11 & 2) != 0;
        if (id is < 1 or > NvmeEngine.IoQueues || Controller.FindCompletion(id) is not null)
            return NvmeOutcome.InvalidQueueId;
        if (entries is < 2 or > MaxEntries)
            return NvmeOutcome.InvalidQueueSize;
        if (vector > NvmeEngine.IoQueues)
            return NvmeOutcome.InvalidVector;
        if (!isContiguous || command.Prp1 % 4096 != 0)
            return isContiguous ? NvmeOutcome.InvalidPrpOffset : NvmeOutcome.InvalidField;
        Volatile.Write(ref Controller.Doorbells[(2 * id) + 1], 0);
        Controller.SetCompletion(id, new NvmeCompletionQueue(id, new Iova(command.Prp1), entries, interrupts ? vector : null));
        return NvmeOutcome.Success;
    }

    private NvmeOutcome CreateSubmissionQueue(in NvmeCommand command)
    {
        int id = (int)(command.Dword10 & 0xffff);
        int entries = (int)(command.Dword10 >> 16) + 1;
        int completions = (int)(command.Dword11 >> 16);
        bool isContiguous = (command.Dword11 & 1) != 0;
        if (Controller.FindCompletion(completions) is not { } queue)
            return NvmeOutcome.CompletionQueueInvalid;
        if (id is < 1 or > NvmeEngine.IoQueues || Controller.FindSubmission(id) is not null)
            return NvmeOutcome.InvalidQueueId;
        if (entries is < 2 or > MaxEntries)
            return NvmeOutcome.InvalidQueueSize;
        if (!isContiguous || command.Prp1 % 4096 != 0)
            return isContiguous ? NvmeOutcome.InvalidPrpOffset : NvmeOutcome.InvalidField;
        Volatile.Write(ref Controller.Doorbells[2 * id], 0);
        queue.Users++;
        Controller.SetSubmission(id, new NvmeIoWork(Controller, id, new Iova(command.Prp1), entries, queue));
        return NvmeOutcome.Success;
    }

    /// <summary>Deletes a queue, and aborts what it is in the middle of: nothing of that is completed after this command (section
    /// 5.6).</summary>
    private NvmeOutcome DeleteSubmissionQueue(in NvmeCommand command)
    {
        int id = (int)(command.Dword10 & 0xffff);
        if (Controller.FindSubmission(id) is not { } queue)
            return NvmeOutcome.InvalidQueueId;

        // Outside of this queue's own stretch: a reset that waits for that would wait for the other's too.
        Leave();
        queue.Abandon();
        _disk.LeaveBehind(queue);
        Controller.SetSubmission(id, null);
        if (!Enter())
            return NvmeOutcome.Kept;
        NvmeCompletionQueue completions = queue.Completions;
        if (queue.UnderWay is { } aborted
            && TryPost(Bus, Controller.Doorbells, completions, id, queue.Head, aborted, NvmeOutcome.AbortedByDeletion)
            && completions.Vector is { } vector)
        {
            Interrupt(vector);
        }

        completions.Users--;
        return NvmeOutcome.Success;
    }

    private NvmeOutcome DeleteCompletionQueue(in NvmeCommand command)
    {
        int id = (int)(command.Dword10 & 0xffff);
        if (Controller.FindCompletion(id) is not { } queue)
            return NvmeOutcome.InvalidQueueId;
        if (queue.Users > 0)
            return NvmeOutcome.InvalidQueueDeletion;
        Controller.SetCompletion(id, null);
        return NvmeOutcome.Success;
    }

    private NvmeOutcome Identify(in NvmeCommand command)
    {
        const int Length = 4096;
        Span<byte> data = Data.Bytes[..Length];
        bool isOurs = command.NamespaceId == NvmeEngine.NamespaceId;
        switch (command.Dword10 & 0xff)
        {
            case 0x00 when isOurs:
                NvmeIdentity.WriteNamespace(data, _disk);
                break;
            case 0x01:
                NvmeIdentity.WriteController(data, HasCacheToControl);
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

        return Data.Send(Bus, command, Length);
    }

    private NvmeOutcome GetLogPage(in NvmeCommand command)
    {
        ulong dwords = (command.Dword10 >> 16 | (ulong)(command.Dword11 & 0xffff) << 16) + 1;
        ulong offset = command.Dword12 | (ulong)command.Dword13 << 32;
        const int Length = 4096;
        if (dwords * 4 > NvmeData.LargestBytes || offset > Length)
            return NvmeOutcome.InvalidField;
        if (!NvmeIdentity.TryWriteLog(Data.Bytes[..Length], (int)(command.Dword10 & 0xff)))
            return NvmeOutcome.InvalidLogPage;
        int count = (int)dwords * 4;
        int held = Math.Min(count, Length - (int)offset);
        Data.Bytes.Slice((int)offset, held).CopyTo(Data.Bytes);
        Data.Bytes[held..count].Clear(); // beyond the page's end
        return Data.Send(Bus, command, count);
    }

    private NvmeOutcome SetFeature(in NvmeCommand command)
    {
        int feature = (int)(command.Dword10 & 0xff);
        bool isToBeSaved = command.Dword10 >> 31 != 0;
        if (feature == NumberOfQueues)
        {
            // Both counts are less one, and 65535 is reserved.
            uint submissions = command.Dword11 & 0xffff;
            uint completions = command.Dword11 >> 16;
            return submissions == 0xffff || completions == 0xffff ? NvmeOutcome.InvalidField : QueueCounts;
        }

        if (!IsFeature(feature))
            return NvmeOutcome.InvalidField;
        if (isToBeSaved)
            return NvmeOutcome.NotSaveable;
        if (feature == WriteCache)
            return SetWriteCache((command.Dword11 & 1) != 0, command.Id);
        _features[feature] = command.Dword11;
        return NvmeOutcome.Success;
    }

    private NvmeOutcome SetWriteCache(bool isOn, ushort command)
    {
        bool isTurnedOff = Controller.HasWriteCache && !isOn;
        Controller.HasWriteCache = isOn;
        if (!isTurnedOff || !_disk.MayWait)
            return NvmeOutcome.Success;

        // What is in the cache is durable before the command is over; the flusher completes it.
        Controller.Flusher.TurnCacheOff(command);
        return NvmeOutcome.Kept;
    }

    private NvmeOutcome GetFeature(in NvmeCommand command)
    {
        int feature = (int)(command.Dword10 & 0xff);
        if (feature == NumberOfQueues)
            return QueueCounts;
        if (!IsFeature(feature))
            return NvmeOutcome.InvalidField;
        return new NvmeOutcome(0, feature == WriteCache ? (Controller.HasWriteCache ? 1u : 0) : _features[feature]);
    }

    private static NvmeOutcome QueueCounts => new(0, (NvmeEngine.IoQueues - 1) << 16 | (NvmeEngine.IoQueues - 1));

    /// <summary>Whether writes are cached, so that the driver has to flush: not by a disk that is not written.</summary>
    private bool HasCacheToControl => !_disk.IsReadOnly;

    // Arbitration, power, temperature threshold, error recovery, write cache, interrupts, atomicity, events.
    private bool IsFeature(int feature) =>
        feature is 0x01 or 0x02 or 0x04 or 0x05 or 0x08 or 0x09 or 0x0a or 0x0b || (feature == WriteCache && HasCacheToControl);

    private NvmeOutcome KeepEventRequest() =>
        _eventRequests++ < EventRequests ? NvmeOutcome.Kept : NvmeOutcome.TooManyEventRequests;
}
