using System.Buffers.Binary;

namespace Vfio.Tests.Guard;

/// <summary>Config spaces of real kinds of hardware that have registers where no capability is, made from their documents.</summary>
internal static class HardwareShape
{
    /// <summary>A 1394 controller: PCI_HCI_Control at 0x40 is no capability (1394 Open HCI 1.1, annex A.3). Power management follows.</summary>
    public static byte[] Ohci()
    {
        byte[] config = Header(256, 0x104c8024, 0x0c001000, capabilities: 0x44);
        Put(config, 0x10, 0xfe000000);
        Put(config, 0x40, 0x00000000);
        Put(config, 0x44, 0x00020001 | 0x7e000000);
        Put(config, 0x48, 0x00000000);
        return config;
    }

    /// <summary>A Broadcom NetXtreme (14e4:1659): index and data of a window into its memory and registers at 0x78 to 0x84 (BCM57XX
    /// Programmer's Guide, "PCI configuration registers"), between the capabilities.</summary>
    public static byte[] Tg3()
    {
        byte[] config = Header(4096, 0x165914e4, 0x02000011, capabilities: 0x48);
        Put(config, 0x10, 0xfe000004);
        Put(config, 0x48, 0xc0025001);      // Power Management, next 0x50
        Put(config, 0x4c, 0x64002000);
        Put(config, 0x50, 0x00005803);      // VPD, next 0x58
        Put(config, 0x58, 0x0086d005);      // MSI of 64 bits, 8 messages, next 0xd0
        Put(config, 0x68, 0x00000298);      // Misc Host Control
        Put(config, 0x70, 0x00001000);
        Put(config, 0xd0, 0x00010010);      // PCI Express, version 1
        Put(config, 0xd4, 0x05900fa0);
        Put(config, 0x100, 0x13c10001);     // AER, next 0x13c
        Put(config, 0x13c, 0x16010002);     // Virtual Channel, next 0x160
        Put(config, 0x160, 0x00010003);     // Serial number
        return config;
    }

    /// <summary>An AHCI controller: Port Control and Status (PCS) at 0x92, after MSI and before the SATA capability.</summary>
    public static byte[] Ahci()
    {
        byte[] config = Header(256, 0x29228086, 0x01060102, capabilities: 0x80);
        Put(config, 0x24, 0xfe000000);
        Put(config, 0x80, 0x00007005);      // MSI, next 0x70
        Put(config, 0x70, 0x4003a801);      // Power Management, next 0xa8
        Put(config, 0x90, 0x003f0060);      // MAP, and PCS
        Put(config, 0xa8, 0x00100012);      // SATA
        Put(config, 0xac, 0x00000048);
        return config;
    }

    public static ulong[] BarBytes { get; } = [1 << 16, 0, 0, 0, 0, 1 << 12, 0];

    public static void Put(byte[] config, int offset, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(config.AsSpan(offset), value);

    private static byte[] Header(int length, uint ids, uint classAndRevision, byte capabilities)
    {
        byte[] config = new byte[length];
        Put(config, 0x00, ids);
        // Status: a capability list, and errors that were seen.
        Put(config, 0x04, 0xf9100006);
        Put(config, 0x08, classAndRevision);
        Put(config, 0x34, capabilities);
        Put(config, 0x3c, 0x00000100);
        return config;
    }
}
