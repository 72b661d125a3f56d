using System.Buffers.Binary;
using System.Text;

namespace Vfio.Devices.Nvme;

/// <summary>The log pages; 4096 bytes at most.</summary>
/// <remarks>NVM Express Base Specification 2.0, section 5.16.1.</remarks>
internal static class NvmeLogs
{
    /// <summary>Log page identifiers.</summary>
    internal const int SupportedPages = 0x00, Errors = 0x01, Smart = 0x02, Firmware = 0x03, ChangedNamespaces = 0x04, Effects = 0x05,
        SelfTest = 0x06, FeatureEffects = 0x12, Sanitize = 0x81;

    /// <summary>Longest page.</summary>
    internal const int PageBytes = 4096;

    private const uint NamespaceScope = 1 << 20, ControllerScope = 1 << 21, SubsystemScope = 1 << 24;

    private static ReadOnlySpan<byte> All =>
        [SupportedPages, Errors, Smart, Firmware, ChangedNamespaces, Effects, SelfTest, FeatureEffects, Sanitize];

    /// <summary>Whether there is such a page.</summary>
    internal static bool Has(int page) => All.Contains((byte)page);

    /// <summary>Writes a page.</summary>
    /// <param name="data">Zeros, of <see cref="PageBytes"/>.</param>
    /// <param name="page">One that there is.</param>
    /// <param name="controller">What it is about.</param>
    internal static void Write(Span<byte> data, int page, NvmeEngine controller)
    {
        NvmeDrive drive = controller.Drive;
        switch (page)
        {
            case SupportedPages:
                foreach (byte one in All)
                    data[4 * one] = 1;
                break;
            case Errors:
                drive.Errors.Write(data);
                break;
            case Smart:
                drive.Health.Write(data, controller.Features.Warnings, drive.Errors.Count);
                break;
            case Firmware:
                data[0] = 1;
                Encoding.ASCII.GetBytes(NvmeIdentity.FirmwareRevision.PadRight(8), data[8..]);
                break;
            case ChangedNamespaces:
                controller.Changed.Write(data);
                break;
            case Effects:
                WriteEffects(data);
                break;
            case SelfTest:
                drive.SelfTests.Write(data);
                break;
            case FeatureEffects:
                WriteFeatures(data, controller.Features);
                break;
            default:
                drive.Sanitize.Write(data);
                break;
        }
    }

    /// <summary>Commands Supported and Effects: a dword for each admin opcode, then one for each I/O opcode.</summary>
    private static void WriteEffects(Span<byte> data)
    {
        const uint Supported = 1, ChangesBlocks = 2, ChangesNamespace = 4, ChangesInventory = 8, NothingElseMeanwhile = 2 << 16;
        const int IoCommands = 1024;
        foreach (byte opcode in NvmeAdminWork.Opcodes)
        {
            Put(data, 4 * opcode, opcode switch
            {
                0x15 => Supported | ChangesInventory | NamespaceScope,
                0x80 => Supported | ChangesBlocks | ChangesNamespace | NothingElseMeanwhile | NamespaceScope,
                0x84 => Supported | ChangesBlocks | NothingElseMeanwhile | SubsystemScope,
                _ => Supported | ControllerScope,
            });
        }

        foreach (byte opcode in NvmeIoWork.Opcodes)
        {
            bool isReading = opcode is 0x00 or 0x02 or 0x05 or 0x0c;
            Put(data, IoCommands + (4 * opcode), Supported | (isReading ? 0 : ChangesBlocks) | NamespaceScope);
        }
    }

    private static void WriteFeatures(Span<byte> data, NvmeFeatures features)
    {
        const uint Supported = 1;
        for (int feature = 0; feature < 256; feature++)
        {
            if (features.Has(feature))
                Put(data, 4 * feature, Supported | ControllerScope);
        }
    }

    private static void Put(Span<byte> data, int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(data[at..], value);
}
