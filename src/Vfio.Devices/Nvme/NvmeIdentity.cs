using System.Buffers.Binary;
using System.Text;

namespace Vfio.Devices.Nvme;

/// <summary>The data structures of Identify, 4096 bytes each.</summary>
/// <remarks>NVM Express Base Specification 2.0, section 5.17, and NVM Command Set Specification 1.0, section 4.1.5.</remarks>
internal static class NvmeIdentity
{
    internal const ushort VendorId = 0x5646, DeviceId = 0x4e56;
    internal const string FirmwareRevision = "2.0";
    private const uint AllNamespaces = uint.MaxValue;
    private const byte NvmCommandSet = 0;

    /// <summary>Writes what a command asks for.</summary>
    /// <param name="data">Zeros.</param>
    /// <param name="command">The command.</param>
    /// <param name="controller">What it is about.</param>
    internal static NvmeOutcome Write(Span<byte> data, in NvmeCommand command, NvmeEngine controller)
    {
        NvmeDrive drive = controller.Drive;
        uint id = command.NamespaceId;
        bool isNvm = command.Dword11 >> 24 == NvmCommandSet;
        int wanted = (int)(command.Dword10 & 0xff);
        if (wanted is 0x05 or 0x06 or 0x07 or 0x1a && !isNvm)
            return NvmeOutcome.InvalidCommandSet;
        switch (wanted)
        {
            case 0x00 when id == AllNamespaces: // what all have in common
                WriteFormats(data, drive.Spaces[0]);
                return NvmeOutcome.Success;
            case 0x01:
                WriteController(data, drive, controller.Features.HasCacheToControl);
                return NvmeOutcome.Success;
            case 0x02 or 0x07:
                return WriteList(data, id, drive, isAll: false);
            case 0x06: // no limits besides MDTS
                return NvmeOutcome.Success;
            case 0x10 or 0x1a:
                return WriteList(data, id, drive, isAll: true);
            case 0x13:
                WriteControllers(data, command, isListed: true);
                return NvmeOutcome.Success;
            case 0x1c:
                BinaryPrimitives.WriteUInt64LittleEndian(data, 1); // one combination: the NVM command set
                return ((command.Dword10 >> 16) is NvmeEngine.ControllerId or 0xffff) ? NvmeOutcome.Success : NvmeOutcome.InvalidField;
            case 0x00 or 0x03 or 0x05 or 0x08 or 0x11 or 0x12:
                break;
            default:
                return NvmeOutcome.InvalidField;
        }

        if (drive.Find(id) is not { } space)
            return NvmeOutcome.InvalidNamespace;

        // Of one that is not attached, all is zeros.
        switch (wanted)
        {
            case 0x00 when space.IsAttached:
            case 0x11:
                WriteNamespace(data, space, drive);
                break;
            case 0x03 when space.IsAttached:
                WriteDescriptors(data, space, drive.Names);
                break;
            case 0x08 when space.IsAttached:
                data[8] = drive.Disk.IsReadOnly ? (byte)1 : (byte)0;         // NSATTR
                data[14] = 1;                                                // NSTAT: ready
                break;
            case 0x12:
                WriteControllers(data, command, space.IsAttached);
                break;
            case 0x03:
                return NvmeOutcome.InvalidField;
            default:
                break;
        }

        return NvmeOutcome.Success;
    }

    /// <summary>Identify Controller.</summary>
    private static void WriteController(Span<byte> data, NvmeDrive drive, bool hasWriteCache)
    {
        const int Format = 0x2, Attachment = 0x8, SelfTest = 0x10, DoorbellBuffer = 0x100;
        const int Compare = 0x01, Uncorrectable = 0x02, Deallocate = 0x04, Zeroes = 0x08, Select = 0x10, Timestamp = 0x40, Verify = 0x80;
        const int ExtendedData = 0x04, Effects = 0x02, SupportedPages = 0x20;
        Put16(data, 0, VendorId);
        Put16(data, 2, VendorId);
        WriteText(data.Slice(4, 20), drive.Names.Serial);
        WriteText(data.Slice(24, 40), "Vfio software NVMe disk");
        WriteText(data.Slice(64, 8), FirmwareRevision);
        data[73] = NvmeNames.Organization[2];                            // IEEE: the last byte first
        data[74] = NvmeNames.Organization[1];
        data[75] = NvmeNames.Organization[0];
        data[77] = NvmeData.LargestShift;                                // MDTS
        Put16(data, 78, NvmeEngine.ControllerId);                        // CNTLID
        Put32(data, 80, 0x0002_0000);                                    // VER
        Put32(data, 92, NvmeFeatures.OptionalEvents);                    // OAES
        data[111] = 1;                                                   // CNTRLTYPE: an I/O controller
        Put16(data, 256, Format | Attachment | SelfTest | DoorbellBuffer); // OACS
        data[258] = 3;                                                   // ACL, less one
        data[259] = NvmeEvents.MaxRequests - 1;                          // AERL
        data[260] = 0x03;                                                // FRMW: one firmware slot, read-only
        data[261] = Effects | ExtendedData | SupportedPages;             // LPA
        data[262] = NvmeErrorLog.Entries - 1;                            // ELPE
        Put16(data, 266, NvmeHealth.WarningTemperature);                 // WCTEMP, kelvins
        Put16(data, 268, NvmeHealth.CriticalTemperature);                // CCTEMP
        BinaryPrimitives.WriteInt64LittleEndian(data[280..], drive.Disk.Length); // TNVMCAP
        Put16(data, 316, 1);                                             // EDSTT: minutes of an extended self-test
        data[318] = 1;                                                   // DSTO: one self-test at a time
        Put16(data, 320, NvmeKeepAlive.Granularity);                     // KAS
        Put32(data, 328, 0x4000_0002);                                   // SANICAP: block erase; no media is modified after it
        data[512] = 0x66;                                                // SQES: 64 bytes
        data[513] = 0x44;                                                // CQES: 16 bytes
        Put32(data, 516, (uint)drive.Spaces.Length);                     // NN
        Put16(data, 520, Compare | Uncorrectable | Deallocate | Zeroes | Select | Timestamp | Verify); // ONCS
        Put16(data, 522, 1);                                             // FUSES: compare and write
        data[525] = hasWriteCache ? (byte)7 : (byte)6;                   // VWC; a flush of all namespaces is possible
        Put32(data, 536, 0x0000_0001);                                   // SGLS: data blocks of any length, anywhere
        Put32(data, 540, (uint)drive.Spaces.Length);                     // MNAN
        Encoding.ASCII.GetBytes(drive.Names.Subsystem, data[768..]);     // SUBNQN
        Put16(data, 2048, 1500);                                         // PSD0: MP, in 10 mW
    }

    /// <summary>Identify Namespace.</summary>
    private static void WriteNamespace(Span<byte> data, NvmeSpace space, NvmeDrive drive)
    {
        ulong blocks = space.Blocks;
        BinaryPrimitives.WriteUInt64LittleEndian(data, blocks);          // NSZE
        BinaryPrimitives.WriteUInt64LittleEndian(data[8..], blocks);     // NCAP
        BinaryPrimitives.WriteUInt64LittleEndian(data[16..], blocks);    // NUSE
        data[24] = 0x10;                                                 // NSFEAT: NPWG to NOWS are there
        data[26] = (byte)space.Format;                                   // FLBAS
        data[33] = 0x09;                                                 // DLFEAT: deallocated blocks are zeros, Write Zeroes deallocates
        BinaryPrimitives.WriteInt64LittleEndian(data[48..], space.Length); // NVMCAP

        // Pages of the host's file system are what it writes and frees at once.
        ushort granularity = (ushort)((4096 >> space.BlockShift) - 1);
        for (int at = 64; at <= 72; at += 2)
            Put16(data, at, granularity);                                // NPWG, NPWA, NPDG, NPDA, NOWS
        data[99] = drive.Disk.IsReadOnly ? (byte)1 : (byte)0;            // NSATTR: write protected
        drive.Names.WriteNguid(space.Id, data.Slice(104, 16));
        drive.Names.WriteEui64(space.Id, data.Slice(120, 8));
        WriteFormats(data, space);
    }

    private static void WriteFormats(Span<byte> data, NvmeSpace space)
    {
        ReadOnlySpan<int> formats = space.Formats;
        data[25] = (byte)(formats.Length - 1);                           // NLBAF
        for (int i = 0; i < formats.Length; i++)
            Put32(data, 128 + (4 * i), (uint)formats[i] << 16);          // LBAF: no metadata
    }

    /// <summary>Numbers of namespaces above one: those that are attached, or all.</summary>
    private static NvmeOutcome WriteList(Span<byte> data, uint above, NvmeDrive drive, bool isAll)
    {
        if (above >= 0xffff_fffe)
            return NvmeOutcome.InvalidNamespace;
        int at = 0;
        foreach (NvmeSpace space in drive.Spaces)
        {
            if (space.Id <= above || !(isAll || space.IsAttached))
                continue;
            Put32(data, at, space.Id);
            at += sizeof(uint);
        }

        return NvmeOutcome.Success;
    }

    /// <summary>Namespace Identification Descriptors: type, length, two bytes of zeros, the identifier.</summary>
    private static void WriteDescriptors(Span<byte> data, NvmeSpace space, NvmeNames names)
    {
        const int Header = 4, Eui64 = 1, Nguid = 2, Uuid = 3, CommandSet = 4;
        Span<byte> rest = data;
        names.WriteEui64(space.Id, Begin(ref rest, Eui64, 8));
        names.WriteNguid(space.Id, Begin(ref rest, Nguid, 16));
        names.UuidOf(space.Id).TryWriteBytes(Begin(ref rest, Uuid, 16), bigEndian: true, out _);
        Begin(ref rest, CommandSet, 1)[0] = NvmCommandSet;

        static Span<byte> Begin(ref Span<byte> rest, byte type, byte length)
        {
            (rest[0], rest[1]) = (type, length);
            Span<byte> identifier = rest.Slice(Header, length);
            rest = rest[(Header + length)..];
            return identifier;
        }
    }

    /// <summary>Controller List: the one that there is, if it is to be listed and its number is at least that of CDW10.</summary>
    private static void WriteControllers(Span<byte> data, in NvmeCommand command, bool isListed)
    {
        if (!isListed || command.Dword10 >> 16 > NvmeEngine.ControllerId)
            return;
        Put16(data, 0, 1);
        Put16(data, 2, NvmeEngine.ControllerId);
    }

    private static void Put16(Span<byte> data, int at, int value) => BinaryPrimitives.WriteUInt16LittleEndian(data[at..], (ushort)value);

    private static void Put32(Span<byte> data, int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(data[at..], value);

    private static void WriteText(Span<byte> field, string text)
    {
        field.Fill((byte)' ');
        Encoding.ASCII.GetBytes(text, field);
    }
}
