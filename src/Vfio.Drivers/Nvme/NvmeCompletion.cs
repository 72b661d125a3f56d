using System.Runtime.InteropServices;

namespace Vfio.Drivers.Nvme;

/// <summary>What became of a command: one entry of a completion queue, 16 bytes.</summary>
/// <remarks>NVM Express Base Specification 1.4, section 4.6.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct NvmeCompletion
{
    /// <summary>Dword 0: the command's own result.</summary>
    public uint Result;

    /// <summary>Dword 1.</summary>
    public uint Reserved;

    /// <summary>SQHD: how far the controller has fetched, as an entry's index.</summary>
    public ushort SubmissionHead;

    /// <summary>SQID: which submission queue the command came from.</summary>
    public ushort SubmissionQueueId;

    /// <summary>CID: which command.</summary>
    public ushort CommandId;

    /// <summary>Phase tag in bit 0, which turns over with each round of the queue; status in bits 15:1.</summary>
    public ushort PhaseAndStatus;
}
