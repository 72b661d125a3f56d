namespace Vfio.Drivers.Nvme;

/// <summary>Opcodes of commands; NVM Express Base Specification 1.4, figures 139 and 346.</summary>
/// <remarks>Admin and I/O queues count from 0 on their own, so a number may stand for two commands.</remarks>
internal static class NvmeOpcode
{
    internal const byte DeleteSubmissionQueue = 0x00, CreateSubmissionQueue = 0x01;
    internal const byte DeleteCompletionQueue = 0x04, CreateCompletionQueue = 0x05;
    internal const byte GetLogPage = 0x02;
    internal const byte Identify = 0x06, SetFeatures = 0x09, DoorbellBufferConfig = 0x7c;
    internal const byte Flush = 0x00, Write = 0x01, Read = 0x02;
}
