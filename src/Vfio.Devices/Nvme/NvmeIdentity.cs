using System.Buffers.Binary;
using System.Text;

namespace Vfio.Devices.Nvme;

/// <summary>The data of Identify and of the log pages; 4096 bytes at most.</summary>
/// <remarks>NVM Express Base Specification 1.4, figures 245, 247 and 194.</remarks>
internal static class NvmeIdentity
{
    internal const ushort VendorId = 0x1b36;
    internal const ushort SubsystemVendorId = 0x1af4;

    /// <summary>Identify Controller, CNS 0x01.</summary>
    /// <param name="data">Receives it.</param>
    /// <param name="hasWriteCache">Whether there is a volatile write cache, which the driver may disable.</param>
    internal static void WriteController(Span<byte> data, bool hasWriteCache)
    {
        data.Clear();
        BinaryPrimitives.WriteUInt16LittleEndian(data, VendorId);
        BinaryPrimitives.WriteUInt16LittleEndian(data[2..], SubsystemVendorId);
        WriteText(data.Slice(4, 20), "1");
        WriteText(data.Slice(24, 40), "Vfio software NVMe disk");
        WriteText(data.Slice(64, 8), "1.0");
        data[77] = NvmeData.LargestShift;                                // MDTS
        BinaryPrimitives.WriteUInt32LittleEndian(data[80..], 0x0001_0400); // VER
        data[111] = 1;                                                   // CNTRLTYPE: an I/O controller
        data[259] = NvmeAdminWork.EventRequests - 1;                        // AERL
        data[260] = 0x02;                                                // FRMW: one firmware slot
        data[261] = 0x04;                                                // LPA: log pages by offset, and more than 16 KiB
        BinaryPrimitives.WriteUInt16LittleEndian(data[266..], 343);      // WCTEMP, kelvins
        BinaryPrimitives.WriteUInt16LittleEndian(data[268..], 373);      // CCTEMP, kelvins
        data[512] = 0x66;                                                // SQES: 64 bytes
        data[513] = 0x44;                                                // CQES: 16 bytes
        BinaryPrimitives.WriteUInt32LittleEndian(data[516..], 1);        // NN
        data[525] = hasWriteCache ? (byte)1 : (byte)0;                   // VWC
        Encoding.ASCII.GetBytes("nqn.2014-08.org.nvmexpress:vfio-model", data[768..]);
        BinaryPrimitives.WriteUInt16LittleEndian(data[2048..], 1500);    // PSD0: MP, in 10 mW
    }

    /// <summary>Identify Namespace, CNS 0x00.</summary>
    internal static void WriteNamespace(Span<byte> data, NvmeDisk disk)
    {
        data.Clear();
        long blocks = disk.Length >> disk.BlockShift;
        BinaryPrimitives.WriteInt64LittleEndian(data, blocks);
        BinaryPrimitives.WriteInt64LittleEndian(data[8..], blocks);
        BinaryPrimitives.WriteInt64LittleEndian(data[16..], blocks);
        data[99] = disk.IsReadOnly ? (byte)1 : (byte)0;                  // NSATTR: write protected
        BinaryPrimitives.WriteInt32LittleEndian(data[128..], disk.BlockShift << 16); // LBAF0: no metadata
    }

    /// <summary>Active Namespace ID list, CNS 0x02: the numbers above one.</summary>
    internal static void WriteActive(Span<byte> data, uint above)
    {
        data.Clear();
        if (above < NvmeEngine.NamespaceId)
            BinaryPrimitives.WriteUInt32LittleEndian(data, NvmeEngine.NamespaceId);
    }

    /// <summary>Namespace Identification Descriptor list, CNS 0x03: one descriptor, a UUID (NIDT 3) that all instances share.</summary>
    internal static void WriteDescriptors(Span<byte> data)
    {
        data.Clear();
        data[0] = 3;
        data[1] = 16;
        new Guid("6f2b6f0e-5c1f-4e0a-9d51-0d3d9a1f7c01").TryWriteBytes(data[4..20], bigEndian: true, out _);
    }

    /// <summary>A log page: 1 errors, 2 SMART, 3 firmware.</summary>
    /// <returns>False when there is no such page.</returns>
    internal static bool TryWriteLog(Span<byte> data, int page)
    {
        data.Clear();
        switch (page)
        {
            case 1:
                return true;
            case 2:
                BinaryPrimitives.WriteUInt16LittleEndian(data[1..], 303); // composite temperature, kelvins
                data[3] = 100;                                            // available spare, percent
                data[4] = 10;                                             // its threshold
                return true;
            case 3:
                data[0] = 1;
                WriteText(data.Slice(8, 8), "1.0");
                return true;
            default:
                return false;
        }
    }

    private static void WriteText(Span<byte> field, string text)
    {
        field.Fill((byte)' ');
        Encoding.ASCII.GetBytes(text, field);
    }
}
