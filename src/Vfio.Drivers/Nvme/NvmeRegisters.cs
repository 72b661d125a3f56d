namespace Vfio.Drivers.Nvme;

/// <summary>Registers in BAR0 of an NVM Express controller; NVM Express Base Specification 1.4, section 3.1.</summary>
/// <remarks>All are accessed as 32 bits; the two halves of a 64-bit register may be (section 3.1).</remarks>
internal static class NvmeRegisters
{
    /// <summary>CAP, 8 bytes, read-only: see <see cref="NvmeCapabilities"/>; section 3.1.1.</summary>
    internal const long Capabilities = 0x00;

    /// <summary>VS: see <see cref="NvmeVersion"/>; section 3.1.2.</summary>
    internal const long Version = 0x08;

    /// <summary>CC: what the controller shall be; section 3.1.5.</summary>
    internal const long Configuration = 0x14;

    /// <summary>CSTS: see <see cref="NvmeControllerStatus"/>; section 3.1.6.</summary>
    internal const long Status = 0x1c;

    /// <summary>AQA: entries of the admin queues less one; submission in bits 11:0, completion in bits 27:16; section 3.1.8.</summary>
    internal const long AdminQueueAttributes = 0x24;

    /// <summary>ASQ, 8 bytes: address of the admin submission queue; section 3.1.9.</summary>
    internal const long AdminSubmissionQueue = 0x28;

    /// <summary>ACQ, 8 bytes: address of the admin completion queue; section 3.1.10.</summary>
    internal const long AdminCompletionQueue = 0x30;

    /// <summary>SQ0TDBL, the first doorbell. The tail of queue n is doorbell 2n, its completion queue's head 2n + 1;
    /// sections 3.1.24 and 3.1.25.</summary>
    internal const long Doorbells = 0x1000;

    /// <summary>Of <see cref="Configuration"/>: EN.</summary>
    internal const uint Enable = 0x1;

    /// <summary>Of <see cref="Configuration"/>: SHN, a normal shutdown notification.</summary>
    internal const uint ShutdownNormal = 0x4000;

    /// <summary>Of <see cref="Configuration"/>: SHN as a mask.</summary>
    internal const uint ShutdownMask = 0xc000;

    /// <summary>Of <see cref="Configuration"/>: entries of 64 bytes (IOSQES 6) and of 16 (IOCQES 4), NVM command set, pages of
    /// 4 KiB, round robin.</summary>
    internal const uint EntrySizes = 0x0046_0000;

    /// <summary>Bytes of a memory page, by MPS 0 in <see cref="Configuration"/>.</summary>
    internal const int PageBytes = 4096;
}
