using Vfio.Pci;
using Vfio.Pci.Config;

namespace Vfio.Drivers.Nvme;

/// <summary>Status field of a completion: what became of a command.</summary>
/// <param name="Raw">Bits 31:17 of dword 3 of the completion, moved down to bit 0.</param>
/// <remarks>NVM Express Base Specification 1.4, section 4.6.1.</remarks>
public readonly record struct NvmeStatus(uint Raw)
{
    /// <summary>SC, bits 7:0: what happened, by the type's own table.</summary>
    public int Code => (int)Raw.Get(7, 0);

    /// <summary>SCT, bits 10:8: 0 generic, 1 by the command, 2 media and data integrity, 3 path, 7 by the vendor.</summary>
    public int Type => (int)Raw.Get(10, 8);

    /// <summary>DNR, bit 14: the same command would fail again.</summary>
    public bool DoNotRetry => Raw.Get(14);

    /// <summary>Whether the command did what it was asked to.</summary>
    public bool IsSuccess => Raw.Get(10, 0) == 0;

    /// <summary>The error number that is nearest to it.</summary>
    public Errno Errno => (Type, Code) switch
    {
        (0, 0x00) => Errno.None,
        (0, 0x01) => Errno.NotSupported,
        (0, 0x02 or 0x80) => Errno.InvalidArgument,
        (0, 0x0b) => Errno.NoDeviceOrAddress,
        (0, 0x13 or 0x16) => Errno.BadAddress,
        (0, 0x20) or (1, 0x82) => Errno.OperationNotPermitted,
        (0, 0x81) => Errno.NoSpace,
        (0, 0x82 or 0x84) => Errno.Busy,
        (1, 0x00 or 0x01 or 0x02 or 0x08 or 0x80) => Errno.InvalidArgument,
        (2, 0x86) => Errno.AccessDenied,
        _ => Errno.InputOutput,
    };

    /// <summary>The specification's words for it, then the numbers: <c>LBA out of range (status 0/80)</c>.</summary>
    public override string ToString() => $"{Words} (status {Type:x}/{Code:x2})";

    private string Words => (Type, Code) switch
    {
        (0, 0x00) => "successful completion",
        (0, 0x01) => "invalid command opcode",
        (0, 0x02) => "invalid field in command",
        (0, 0x03) => "command id conflict",
        (0, 0x04) => "data transfer error",
        (0, 0x05) => "aborted due to power loss notification",
        (0, 0x06) => "internal error",
        (0, 0x07) => "command abort requested",
        (0, 0x08) => "aborted due to submission queue deletion",
        (0, 0x0b) => "invalid namespace or format",
        (0, 0x09) => "aborted due to failed fused command",
        (0, 0x0a) => "aborted due to missing fused command",
        (0, 0x0c) => "command sequence error",
        (0, 0x1c) => "sanitize failed",
        (0, 0x1d) => "sanitize in progress",
        (0, 0x13) => "PRP offset invalid",
        (0, 0x16) => "invalid use of controller memory buffer",
        (0, 0x20) => "namespace is write protected",
        (0, 0x80) => "LBA out of range",
        (0, 0x81) => "capacity exceeded",
        (0, 0x82) => "namespace not ready",
        (0, 0x84) => "format in progress",
        (1, 0x00) => "completion queue invalid",
        (1, 0x01) => "invalid queue identifier",
        (1, 0x02) => "invalid queue size",
        (1, 0x08) => "invalid interrupt vector",
        (1, 0x80) => "conflicting attributes",
        (1, 0x82) => "attempted write to read only range",
        (2, 0x80) => "write fault",
        (2, 0x81) => "unrecovered read error",
        (2, 0x85) => "compare failure",
        (2, 0x86) => "access denied",
        (2, 0x87) => "deallocated or unwritten logical block",
        (2, _) => "media or data integrity error",
        (3, _) => "path error",
        (7, _) => "vendor specific error",
        _ => "command failed",
    };
}
