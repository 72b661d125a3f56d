namespace Vfio.Devices.Nvme;

/// <summary>The result of a command.</summary>
/// <param name="Status">Status code in bits 7:0, its type in bits 10:8, More in bit 13, Do Not Retry in bit 14.</param>
/// <param name="Result">Dword 0 of the completion.</param>
/// <remarks>NVM Express Base Specification 2.0, section 3.3.3.2. Do Not Retry is set where the same command would fail again.</remarks>
internal readonly record struct NvmeOutcome(int Status, uint Result = 0)
{
    /// <summary>More: the error log says more about it.</summary>
    internal const int More = 0x2000;

    private const int Final = 0x4000;

    internal static readonly NvmeOutcome Success = new(0x000);
    internal static readonly NvmeOutcome InvalidOpcode = new(Final | 0x001);
    internal static readonly NvmeOutcome InvalidField = new(Final | 0x002);
    internal static readonly NvmeOutcome DataTransferError = new(Final | 0x004);
    internal static readonly NvmeOutcome InternalError = new(Final | 0x006);
    internal static readonly NvmeOutcome AbortRequested = new(0x007);
    internal static readonly NvmeOutcome AbortedByDeletion = new(0x008);
    internal static readonly NvmeOutcome FusedFailed = new(Final | 0x009);
    internal static readonly NvmeOutcome FusedMissing = new(Final | 0x00a);
    internal static readonly NvmeOutcome InvalidNamespace = new(Final | 0x00b);
    internal static readonly NvmeOutcome SequenceError = new(Final | 0x00c);
    internal static readonly NvmeOutcome InvalidSglSegment = new(Final | 0x00d);
    internal static readonly NvmeOutcome TooManySglDescriptors = new(Final | 0x00e);
    internal static readonly NvmeOutcome InvalidSglLength = new(Final | 0x00f);
    internal static readonly NvmeOutcome InvalidSglType = new(Final | 0x011);
    internal static readonly NvmeOutcome InvalidPrpOffset = new(Final | 0x013);
    internal static readonly NvmeOutcome SanitizeFailed = new(Final | 0x01c);
    internal static readonly NvmeOutcome SanitizeInProgress = new(0x01d);
    internal static readonly NvmeOutcome WriteProtected = new(Final | 0x020);
    internal static readonly NvmeOutcome Interrupted = new(0x021);
    internal static readonly NvmeOutcome OutOfRange = new(Final | 0x080);
    internal static readonly NvmeOutcome FormatInProgress = new(0x084);
    internal static readonly NvmeOutcome CompletionQueueInvalid = new(Final | 0x100);
    internal static readonly NvmeOutcome InvalidQueueId = new(Final | 0x101);
    internal static readonly NvmeOutcome InvalidQueueSize = new(Final | 0x102);
    internal static readonly NvmeOutcome TooManyEventRequests = new(Final | 0x105);
    internal static readonly NvmeOutcome InvalidVector = new(Final | 0x108);
    internal static readonly NvmeOutcome InvalidLogPage = new(Final | 0x109);
    internal static readonly NvmeOutcome InvalidFormat = new(Final | 0x10a);
    internal static readonly NvmeOutcome InvalidQueueDeletion = new(Final | 0x10c);
    internal static readonly NvmeOutcome NotSaveable = new(Final | 0x10d);
    internal static readonly NvmeOutcome NotNamespaceSpecific = new(Final | 0x10f);
    internal static readonly NvmeOutcome InsufficientCapacity = new(Final | 0x115);
    internal static readonly NvmeOutcome AlreadyAttached = new(Final | 0x118);
    internal static readonly NvmeOutcome NotAttached = new(Final | 0x11a);
    internal static readonly NvmeOutcome InvalidControllerList = new(Final | 0x11c);
    internal static readonly NvmeOutcome SelfTestInProgress = new(0x11d);
    internal static readonly NvmeOutcome CombinationRejected = new(Final | 0x12b);
    internal static readonly NvmeOutcome InvalidCommandSet = new(Final | 0x12c);
    internal static readonly NvmeOutcome WriteFault = new(0x280);
    internal static readonly NvmeOutcome UnrecoveredRead = new(0x281);
    internal static readonly NvmeOutcome CompareFailure = new(Final | 0x285);

    /// <summary>The command stays with the controller: there is no completion now.</summary>
    internal static readonly NvmeOutcome Kept = new(-1);

    /// <summary>The disk was formatted or sanitized since the command was checked: it is checked again.</summary>
    internal static readonly NvmeOutcome Stale = new(-2);

    /// <summary>Whether it failed for a reason that the error log has to record.</summary>
    internal bool IsRecorded => Status > 0 && (Status & 0x7ff) is not (0x007 or 0x008 or 0x021);

    /// <summary>The same, for which a retry cannot help.</summary>
    internal NvmeOutcome ForGood => this with { Status = Status | Final };
}
