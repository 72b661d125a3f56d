using Vfio.Guard;
using Vfio.Guard.Emulation;
using Vfio.Guard.Interrupts;

namespace Vfio.Devices.Nvme;

/// <summary>BAR0 of the controller: registers, then doorbells, then the MSI-X table.</summary>
/// <remarks>NVM Express Base Specification 2.0, section 3.1.</remarks>
internal static class NvmeRegisters
{
    /// <summary>Size of BAR0 in bytes.</summary>
    public const int BarLength = 0x4000;

    /// <summary>Offset of the doorbells; 4 bytes each (CAP.DSTRD is 0), tail and head alternately.</summary>
    public const int Doorbells = 0x1000;

    private const int NamedQueues = 64;

    /// <summary>Where the MSI-X table starts, on a page of its own.</summary>
    public const int MsixTable = 0x2000;

    /// <summary>Where the MSI-X pending bits start.</summary>
    public const int MsixPending = 0x3000;

    /// <summary>What is written to NSSR to reset the subsystem: "NVMe".</summary>
    public const uint SubsystemResetKey = 0x4e56_4d65;

    /// <summary>CAP: queues of 1024 entries (MQES 1023), contiguous (CQR), ready within 2 s (TO 4), subsystem reset (NSSRS), the NVM command
    /// set and the selection of all (CSS bits 0 and 6), pages of 4 KiB only, ready with its media (CRMS bit 0).</summary>
    private const ulong CapabilitiesValue = 0x0800_0830_0401_03ff;

    /// <summary>The table. What no row covers reads as 0.</summary>
    public static readonly RegisterMap<NvmeRegister> Map = new(Doorbells)
    {
        // offset, bytes, register,                     reset,       writable, write-1-to-clear
        { 0x00, 8, NvmeRegister.Capabilities,           CapabilitiesValue },
        { 0x08, 4, NvmeRegister.Version,                0x0002_0000 },
        { 0x0c, 4, NvmeRegister.InterruptMaskSet,       0 },
        { 0x10, 4, NvmeRegister.InterruptMaskClear,     0 },
        { 0x14, 4, NvmeRegister.Configuration,          0,           0x00ff_fff1 },
        { 0x1c, 4, NvmeRegister.Status,                 0,           0,           0x10 },
        { 0x20, 4, NvmeRegister.SubsystemReset,         0 },
        { 0x24, 4, NvmeRegister.AdminQueueAttributes,   0,           0x0fff_0fff },
        { 0x28, 8, NvmeRegister.AdminSubmissionQueue,   0,           0xffff_ffff_ffff_f000 },
        { 0x30, 8, NvmeRegister.AdminCompletionQueue,   0,           0xffff_ffff_ffff_f000 },
        { 0x68, 4, NvmeRegister.ReadyTimeouts,          4 },
    };
    /// <summary>The names of all registers and of the first doorbells, as a controller has them whose doorbells are 4 bytes apart.</summary>
    public static IEnumerable<RegisterName> Names => RegisterName.Of(Map)
        .Concat(Enumerable.Range(0, NamedQueues).SelectMany(queue => new[]
        {
            new RegisterName((ulong)(Doorbells + (8 * queue)), 4, $"SubmissionQueue{queue}Tail"),
            new RegisterName((ulong)(Doorbells + (8 * queue) + 4), 4, $"CompletionQueue{queue}Head"),
        }));
}
