namespace Vfio.Devices.Nvme;

/// <summary>The result of a command.</summary>
/// <param name="Status">Status code in bits 7:0, its type in bits 10:8.</param>
/// <param name="Result">Dword 0 of the completion.</param>
/// <remarks>NVM Express Base Specification 1.4, section 4.6.1.</remarks>
internal readonly record struct NvmeOutcome(int Status, uint Result = 0)
{
    internal static readonly NvmeOutcome Success = new(0x000);
    internal static readonly NvmeOutcome InvalidOpcode = new(0x001);
    internal static readonly NvmeOutcome InvalidField = new(0x002);
    internal static readonly NvmeOutcome DataTransferError = new(0x004);
    internal static readonly NvmeOutcome InvalidNamespace = new(0x00b);
    internal static readonly NvmeOutcome AbortedByDeletion = new(0x008);
    internal static readonly NvmeOutcome InvalidPrpOffset = new(0x013);
    internal static readonly NvmeOutcome WriteProtected = new(0x020);
    internal static readonly NvmeOutcome OutOfRange = new(0x080);
    internal static readonly NvmeOutcome CompletionQueueInvalid = new(0x100);
    internal static readonly NvmeOutcome InvalidQueueId = new(0x101);
    internal static readonly NvmeOutcome InvalidQueueSize = new(0x102);
    internal static readonly NvmeOutcome TooManyEventRequests = new(0x105);
    internal static readonly NvmeOutcome InvalidVector = new(0x108);
    internal static readonly NvmeOutcome InvalidLogPage = new(0x109);
    internal static readonly NvmeOutcome InvalidQueueDeletion = new(0x10c);
    internal static readonly NvmeOutcome NotSaveable = new(0x10d);
    internal static readonly NvmeOutcome WriteFault = new(0x280);
    internal static readonly NvmeOutcome UnrecoveredRead = new(0x281);

    /// <summary>The command stays with the controller: there is no completion now.</summary>
    internal static readonly NvmeOutcome Kept = new(-1);
}
