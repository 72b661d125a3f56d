using System.Buffers.Binary;

namespace Vfio.Devices.Nvme;

/// <summary>The queue of admin commands.</summary>
/// <remarks>NVM Express Base Specification 2.0, section 5. No command here waits for the disk.</remarks>
internal sealed class NvmeAdminWork(NvmeEngine controller, Iova start, int entries, NvmeCompletionQueue completions)
    : NvmeQueueWork(controller, 0, start, entries, completions)
{
    private const int MaxEntries = 1024;
    private const int PageBytes = 4096;
    private const uint AllNamespaces = uint.MaxValue;
    private readonly NvmeDrive _drive = controller.Drive;
    private readonly byte[] _page = new byte[NvmeLogs.PageBytes];

    /// <summary>The opcodes, for the log of commands supported and their effects.</summary>
    internal static ReadOnlySpan<byte> Opcodes =>
        [0x00, 0x01, 0x02, 0x04, 0x05, 0x06, 0x08, 0x09, 0x0a, 0x0c, 0x0d, 0x14, 0x15, 0x18, 0x7c, 0x80, 0x84];

    /// <inheritdoc/>
    protected override NvmeOutcome Do(in NvmeCommand command)
    {
        // PRPs alone, and nothing fused (section 4.1.2: no SGLs for admin commands over PCIe).
        if (command.Flags != 0)
            return NvmeOutcome.InvalidField;
        return command.Opcode switch
        {
            0x00 => DeleteSubmissionQueue(command),
            0x01 => CreateSubmissionQueue(command),
            0x02 => GetLogPage(command),
            0x04 => DeleteCompletionQueue(command),
            0x05 => CreateCompletionQueue(command),
            0x06 => Identify(command),
            0x08 => Abort(command),
            0x09 => SetFeature(command),
            0x0a => GetFeature(command),
            0x0c => Controller.Events.TryKeep(command.Id) ? NvmeOutcome.Kept : NvmeOutcome.TooManyEventRequests,
            0x0d => ManageNamespace(command),
            0x14 => BeginSelfTest(command),
            0x15 => AttachNamespace(command),
            0x18 => KeepAlive(),
            0x7c => ConfigureShadow(command),
            0x80 => Format(command),
            0x84 => Sanitize(command),
            _ => NvmeOutcome.InvalidOpcode,
        };
    }

    /// <inheritdoc/>
    protected override bool TryDoOther() => Controller.Events.TryTake(out ushort command, out NvmeOutcome outcome) && Post(command, outcome);

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
        if (!isContiguous || command.Prp1 % PageBytes != 0)
            return isContiguous ? NvmeOutcome.InvalidPrpOffset : NvmeOutcome.InvalidField;
        Start((2 * id) + 1);
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
        if (!isContiguous || command.Prp1 % PageBytes != 0)
            return isContiguous ? NvmeOutcome.InvalidPrpOffset : NvmeOutcome.InvalidField;
        Start(2 * id);
        queue.Users++;
        Controller.SetSubmission(id, new NvmeIoWork(Controller, id, new Iova(command.Prp1), entries, queue));
        return NvmeOutcome.Success;
    }

    private void Start(int doorbell)
    {
        Volatile.Write(ref Controller.Doorbells[doorbell], 0);
        _ = Controller.Shadow?.TryStart(Bus, doorbell, 0);
    }

    /// <summary>Deletes a queue, and aborts what it is in the middle of: nothing of that is completed after this command (section
    /// 5.7).</summary>
    private NvmeOutcome DeleteSubmissionQueue(in NvmeCommand command)
    {
        int id = (int)(command.Dword10 & 0xffff);
        if (Controller.FindSubmission(id) is not { } queue)
            return NvmeOutcome.InvalidQueueId;

        // Outside of this queue's own stretch: a reset that waits for that would wait for the other's too.
        Leave();
        queue.Abandon();
        _drive.Disk.LeaveBehind(queue);
        List<ushort> aborted = Controller.AbandonTransfers(queue);
        if (queue.UnderWay is { } last)
            aborted.Add(last);
        aborted.AddRange(queue.Again.Select(command => command.Id));
        Controller.SetSubmission(id, null);
        if (!Enter())
            return NvmeOutcome.Kept;
        NvmeCompletionQueue completions = queue.Completions;
        Controller.UpdateHead(Bus, completions);
        bool isPosted = false;
        foreach (ushort one in aborted)
            isPosted |= TryPost(Bus, Controller, completions, id, queue.Head, one, NvmeOutcome.AbortedByDeletion);
        if (isPosted && completions.Vector is { } vector)
            Interrupt(vector);
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
        Span<byte> data = Data.Take(PageBytes);
        data.Clear();
        NvmeOutcome outcome = NvmeIdentity.Write(data, command, Controller);
        return outcome == NvmeOutcome.Success ? Data.Send(Bus, command, PageBytes) : outcome;
    }

    private NvmeOutcome GetLogPage(in NvmeCommand command)
    {
        const uint RetainEvents = 1 << 15;
        ulong dwords = (command.Dword10 >> 16 | (ulong)(command.Dword11 & 0xffff) << 16) + 1;
        ulong offset = command.Dword12 | (ulong)command.Dword13 << 32;
        int page = (int)(command.Dword10 & 0xff);
        if (dwords * 4 > NvmeData.LargestBytes || offset > NvmeLogs.PageBytes || offset % 4 != 0)
            return NvmeOutcome.InvalidField;
        if (!NvmeLogs.Has(page))
            return NvmeOutcome.InvalidLogPage;
        if (command.NamespaceId is not (0 or AllNamespaces) && page != NvmeLogs.SelfTest)
            return NvmeOutcome.InvalidField;

        bool isRetained = (command.Dword10 & RetainEvents) != 0;
        Array.Clear(_page);
        NvmeLogs.Write(_page, page, Controller);

        // What is beyond the page's end is zeros.
        int count = (int)dwords * 4;
        Span<byte> data = Data.Take(count);
        data.Clear();
        ReadOnlySpan<byte> rest = _page.AsSpan((int)offset);
        rest[..Math.Min(count, rest.Length)].CopyTo(data);
        NvmeOutcome outcome = Data.Send(Bus, command, count);
        if (outcome != NvmeOutcome.Success || isRetained)
            return outcome;

        // Only what has reached the driver is forgotten.
        if (page == NvmeLogs.ChangedNamespaces)
            Controller.Changed.Clear();
        Controller.Events.Unmask(page);
        return outcome;
    }

    /// <summary>Ends an Asynchronous Event Request. Other commands are not aborted: what is fetched is done.</summary>
    private NvmeOutcome Abort(in NvmeCommand command)
    {
        const uint NotAborted = 1;
        int queue = (int)(command.Dword10 & 0xffff);
        ushort id = (ushort)(command.Dword10 >> 16);
        if (queue != 0 || !Controller.Events.TryWithdraw(id))
            return new NvmeOutcome(0, NotAborted);
        return Post(id, NvmeOutcome.AbortRequested) ? NvmeOutcome.Success : NvmeOutcome.Kept;
    }

    private NvmeOutcome SetFeature(in NvmeCommand command)
    {
        int feature = (int)(command.Dword10 & 0xff);
        bool isToBeSaved = command.Dword10 >> 31 != 0;
        if (!Controller.Features.Has(feature))
            return NvmeOutcome.InvalidField;
        if (isToBeSaved)
            return NvmeOutcome.NotSaveable;
        int bytes = NvmeFeatures.DataBytes(feature);
        NvmeOutcome outcome = bytes == 0 ? NvmeOutcome.Success : Data.Receive(Bus, command, bytes);
        return outcome == NvmeOutcome.Success ? Controller.Features.Set(command, Data.Take(bytes)) : outcome;
    }

    private NvmeOutcome GetFeature(in NvmeCommand command)
    {
        const uint CapabilitiesOnly = 3;
        int feature = (int)(command.Dword10 & 0xff);
        if (!Controller.Features.Has(feature))
            return NvmeOutcome.InvalidField;
        int bytes = (command.Dword10 >> 8 & 7) == CapabilitiesOnly ? 0 : NvmeFeatures.DataBytes(feature);
        NvmeOutcome outcome = Controller.Features.Get(command, Data.Take(bytes));
        if (outcome.Status != 0 || bytes == 0)
            return outcome;
        NvmeOutcome sent = Data.Send(Bus, command, bytes);
        return sent == NvmeOutcome.Success ? outcome : sent;
    }

    private NvmeOutcome KeepAlive()
    {
        Controller.KeepAlive.Renew();
        return NvmeOutcome.Success;
    }

    private NvmeOutcome ConfigureShadow(in NvmeCommand command)
    {
        if (command.Prp1 == 0 || command.Prp2 == 0 || command.Prp1 % PageBytes != 0 || command.Prp2 % PageBytes != 0)
            return NvmeOutcome.InvalidField;
        return Controller.TryShadow(Bus, new NvmeShadow(new Iova(command.Prp1), new Iova(command.Prp2)))
            ? NvmeOutcome.Success
            : NvmeOutcome.DataTransferError;
    }

    /// <summary>Makes no namespace, and deletes none: the namespaces have all blocks, and share them as the user chose.</summary>
    private NvmeOutcome ManageNamespace(in NvmeCommand command)
    {
        const int Create = 0, Delete = 1;
        return (int)(command.Dword10 & 0xf) switch
        {
            Create => NvmeOutcome.InsufficientCapacity,
            Delete when command.NamespaceId != AllNamespaces && _drive.Find(command.NamespaceId) is null => NvmeOutcome.InvalidNamespace,
            _ => NvmeOutcome.InvalidField,
        };
    }

    /// <summary>Attaches a namespace to this controller, or detaches it.</summary>
    private NvmeOutcome AttachNamespace(in NvmeCommand command)
    {
        const int Attach = 0, Detach = 1, Notice = 0, ChangedNamespaces = 4;
        int action = (int)(command.Dword10 & 0xf);
        if (_drive.Find(command.NamespaceId) is not { } space)
            return NvmeOutcome.InvalidNamespace;
        if (action is not (Attach or Detach))
            return NvmeOutcome.InvalidField;
        NvmeOutcome outcome = Data.Receive(Bus, command, PageBytes);
        if (outcome != NvmeOutcome.Success)
            return outcome;
        ReadOnlySpan<byte> list = Data.Take(PageBytes);
        bool isOurs = BinaryPrimitives.ReadUInt16LittleEndian(list) == 1
            && BinaryPrimitives.ReadUInt16LittleEndian(list[2..]) == NvmeEngine.ControllerId;
        if (!isOurs)
            return NvmeOutcome.InvalidControllerList;
        if (space.IsAttached == (action == Attach))
            return action == Attach ? NvmeOutcome.AlreadyAttached : NvmeOutcome.NotAttached;
        space.IsAttached = action == Attach;
        Controller.Changed.Add(space.Id);
        if (Controller.Features.IsWanted(NvmeFeatures.OptionalEvents))
            Controller.Raise(NvmeEvents.Notice, Notice, ChangedNamespaces);
        return NvmeOutcome.Success;
    }

    private NvmeOutcome Format(in NvmeCommand command)
    {
        const int NoErase = 0, EraseUserData = 1;
        int format = (int)(command.Dword10 & 0xf);
        int erase = (int)(command.Dword10 >> 9 & 7);
        bool isPlain = (command.Dword10 >> 4 & 0x1f) == 0; // no metadata, no protection information
        if (_drive.Sanitize.IsRunning)
            return NvmeOutcome.SanitizeInProgress;
        if (!TryFind(command.NamespaceId, out NvmeSpace[] spaces))
            return NvmeOutcome.InvalidNamespace;
        if (spaces.Length == 0 || erase is not (NoErase or EraseUserData))
            return NvmeOutcome.InvalidField;
        if (!isPlain || format >= spaces[0].Formats.Length)
            return NvmeOutcome.InvalidFormat;
        if (_drive.Disk.IsReadOnly)
            return NvmeOutcome.WriteProtected;
        if (Controller.Formatting != 0)
            return NvmeOutcome.FormatInProgress;
        Controller.Formatting = command.NamespaceId;
        Controller.Long.Format(command.Id, spaces, format);
        return NvmeOutcome.Kept;
    }

    private NvmeOutcome BeginSelfTest(in NvmeCommand command)
    {
        const int Short = 1, Extended = 2, AbortTest = 0xf;
        int code = (int)(command.Dword10 & 0xf);
        if (code == AbortTest)
        {
            _drive.SelfTests.End(NvmeSelfTests.AbortedByCommand, _drive.Health.Hours);
            return NvmeOutcome.Success;
        }

        if (code is not (Short or Extended))
            return NvmeOutcome.InvalidField;
        NvmeSpace[] spaces = [];
        if (command.NamespaceId != 0 && !TryFind(command.NamespaceId, out spaces))
            return NvmeOutcome.InvalidNamespace;
        if (Controller.Long.IsFull)
            return NvmeOutcome.SequenceError;
        if (!_drive.SelfTests.TryBegin(code, command.NamespaceId, out int number))
            return NvmeOutcome.SelfTestInProgress;
        Controller.Long.Test(number, spaces, isAll: code == Extended);
        return NvmeOutcome.Success;
    }

    private NvmeOutcome Sanitize(in NvmeCommand command)
    {
        const int ExitFailure = 1, BlockErase = 2;
        const uint Unrestricted = 8;
        NvmeSanitize sanitize = _drive.Sanitize;
        int action = (int)(command.Dword10 & 7);
        if (sanitize.IsRunning)
            return NvmeOutcome.SanitizeInProgress;
        switch (action)
        {
            case ExitFailure when sanitize.HasFailed && !sanitize.MayGiveUp:
                return NvmeOutcome.SanitizeFailed;
            case ExitFailure:
                if (sanitize.HasFailed)
                    sanitize.GiveUp();
                return NvmeOutcome.Success;
            case BlockErase when (command.Dword10 & Unrestricted) != 0 && sanitize.HasFailed && !sanitize.MayGiveUp:
                return NvmeOutcome.SanitizeFailed;
            case BlockErase when _drive.Disk.IsReadOnly:
                return NvmeOutcome.WriteProtected;
            case BlockErase:
                sanitize.Begin(command.Dword10);
                Controller.Long.Sanitize();
                return NvmeOutcome.Success;
            default:
                return NvmeOutcome.InvalidField;
        }
    }

    /// <summary>Finds a namespace that is attached, or all that are.</summary>
    /// <returns>False when there is none of that number.</returns>
    private bool TryFind(uint id, out NvmeSpace[] spaces)
    {
        spaces = id == AllNamespaces ? [.. _drive.Spaces.ToArray().Where(space => space.IsAttached)]
            : _drive.Find(id) is { } one ? (one.IsAttached ? [one] : [])
            : [];
        return id == AllNamespaces || _drive.Find(id) is not null;
    }
}
