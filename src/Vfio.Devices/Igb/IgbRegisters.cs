using Vfio.Guard;

namespace Vfio.Devices.Igb;

/// <summary>BAR0 of the 82576: its registers as a table.</summary>
/// <remarks>
/// <para>Intel 82576 Gigabit Ethernet Controller Datasheet, chapter 8. All are 32 bits. What no row covers reads as 0, and a write to it
/// has no effect: flash, manageability, DCA and time stamps of frames.</para>
/// </remarks>
internal static class IgbRegisters
{
    /// <summary>Size of BAR0 in bytes.</summary>
    public const int BarLength = 0x20000;

    /// <summary>How many receive queues there are, and transmit queues.</summary>
    public const int Queues = 16;

    /// <summary>How many pools there are, and virtual functions at most. Queues n and n + 8 are those of pool n.</summary>
    public const int Pools = 8;

    /// <summary>Entries of VLVF.</summary>
    public const int VlanPools = 32;

    /// <summary>How many MSI-X vectors there are.</summary>
    public const int Vectors = 25;

    /// <summary>Station addresses that are received.</summary>
    public const int Addresses = 24;

    /// <summary>Those in the first table.</summary>
    public const int FirstAddresses = 16;

    /// <summary>The table.</summary>
    public static readonly RegisterMap<IgbRegister> Map = new(BarLength)
    {
        // places, bytes, register,                                            reset, writable, write-1-to-clear, read-to-clear
        { 0x00000,                     4, IgbRegister.Control,               0x0010_0209, 0xffff_ffff },
        { 0x00008,                     4, IgbRegister.Status },
        { 0x00010,                     4, IgbRegister.NvmControl,            0, 0x0000_006f },
        { 0x00014,                     4, IgbRegister.NvmRead },
        { 0x00018,                     4, IgbRegister.ExtendedControl,       0, 0xffff_cfff },
        { 0x0001c,                     4, IgbRegister.FlashAccess },
        { 0x00020,                     4, IgbRegister.MdiControl,            0x1000_0000 },
        { 0x00024,                     4, IgbRegister.SerdesControl,         0x8000_0000 },
        { 0x00028,                     4, IgbRegister.FlowAddressLow,        0x00c2_8001, 0xffff_ffff },
        { 0x0002c,                     4, IgbRegister.FlowAddressHigh,       0x0000_0100, 0x0000_ffff },
        { 0x00030,                     4, IgbRegister.FlowType,              0x0000_8808, 0x0000_ffff },
        { 0x00034,                     4, IgbRegister.CopperSwitch,          0, 0x0000_003d },
        { 0x00038,                     4, IgbRegister.VlanType,              0x8100_8100, 0xffff_ffff },
        { 0x00100,                     4, IgbRegister.ReceiveControl,        0, 0x07ff_fffe },
        { 0x00170,                     4, IgbRegister.FlowTimer,             0, 0x0000_ffff },
        { 0x00400,                     4, IgbRegister.TransmitControl,       0xa404_00f8, 0xffff_ffff },
        { 0x00404,                     4, IgbRegister.TransmitControlExtended, 0x0001_0840, 0xffff_ffff },
        { 0x00410,                     4, IgbRegister.TransmitGap,           0x0060_1008, 0x3fff_ffff },
        { Each(0x00800, 128, 4),       4, IgbRegister.MailboxMemory,         0, 0xffff_ffff },
        { Each(0x00c00, 8, 4),         4, IgbRegister.Mailbox },
        { 0x00c80,                     4, IgbRegister.MailboxCause,          0, 0, 0x00ff_00ff },
        { 0x00c84,                     4, IgbRegister.MailboxMask,           0x0000_00ff, 0x0000_00ff },
        { 0x00c88,                     4, IgbRegister.FunctionResets,        0, 0, 0x0000_00ff },
        { 0x00c8c,                     4, IgbRegister.PoolReceive,           0x0000_00ff, 0x0000_00ff },
        { 0x00c90,                     4, IgbRegister.PoolTransmit,          0x0000_00ff, 0x0000_00ff },
        { 0x00e00,                     4, IgbRegister.Leds,                  0x0706_8302, 0xffff_ffff },
        { 0x01010,                     4, IgbRegister.ManagementNvmControl,  0x800c_0000 },
        { 0x01500,                     4, IgbRegister.InterruptCause },
        { 0x01504,                     4, IgbRegister.InterruptCauseSet },
        { 0x01508,                     4, IgbRegister.InterruptMaskSet },
        { 0x0150c,                     4, IgbRegister.InterruptMaskClear },
        { 0x01510,                     4, IgbRegister.InterruptAutoMask,     0, 0xffff_ffff },
        { 0x01514,                     4, IgbRegister.InterruptEnable,       0, 0xc000_0f91 },
        { 0x01520,                     4, IgbRegister.VectorCauseSet },
        { 0x01524,                     4, IgbRegister.VectorMaskSet },
        { 0x01528,                     4, IgbRegister.VectorMaskClear },
        { 0x0152c,                     4, IgbRegister.VectorAutoClear,       0, 0x01ff_ffff },
        { 0x01530,                     4, IgbRegister.VectorAutoMask,        0, 0xc1ff_ffff },
        { 0x01580,                     4, IgbRegister.VectorCause },
        { Each(0x01680, 25, 4),        4, IgbRegister.Throttle,              0, 0x7fff_fffc },
        { Each(0x01700, 8, 4),         4, IgbRegister.VectorAllocation,      0, 0x9f9f_9f9f },
        { 0x01740,                     4, IgbRegister.VectorAllocationOther, 0, 0x0000_9f9f },
        { 0x02160,                     4, IgbRegister.FlowThresholdLow,      0, 0x8000_fff0 },
        { 0x02168,                     4, IgbRegister.FlowThresholdHigh,     0, 0x0000_fff0 },
        { 0x02404,                     4, IgbRegister.ReceiveBuffer,         0x0000_0040, 0x0000_007f },
        { 0x02408,                     4, IgbRegister.QueueDrop,             0, 0x0000_ffff },
        { 0x02460,                     4, IgbRegister.FlowRefresh,           0, 0x0000_ffff },
        { 0x03404,                     4, IgbRegister.TransmitBuffer,        0x0000_0028, 0x0000_003f },
        { 0x03500,                     4, IgbRegister.SwitchControl,         0, 0x8fff_ffff },
        { 0x03554,                     4, IgbRegister.WrongBehaviour,        0, 0, 0, 0x0000_ffff },
        { 0x03540,                     4, IgbRegister.TransmitMaxRequest,    0x0000_0010, 0x0000_0fff },
        { 0x03590,                     4, IgbRegister.TransmitDma,           0x0000_0004, 0x0000_03ff },
        { 0x0359c,                     4, IgbRegister.TcpFlagsLow,           0x0f7f_0ff6, 0x0fff_0fff },
        { 0x035a0,                     4, IgbRegister.TcpFlagsHigh,          0x0000_0f7f, 0x0000_0fff },
        { Each(0x03700, 8, 4),         4, IgbRegister.PoolTag,               0, 0xc000_ffff },
        { Each(0x04000, 74, 4),        4, IgbRegister.Statistic,             0, 0, 0, 0xffff_ffff },
        { 0x05000,                     4, IgbRegister.ReceiveChecksum,       0x0000_0300, 0x0000_3fff },
        { 0x05004,                     4, IgbRegister.LongestFrame,          0x0000_2600, 0x0000_3fff },
        { 0x05008,                     4, IgbRegister.ReceiveFilter,         0, 0x001f_ffff },
        { Each(0x05200, 128, 4),       4, IgbRegister.MulticastTable,        0, 0xffff_ffff },
        { Each(0x05400, 16, 8),        4, IgbRegister.AddressLow,            0, 0xffff_ffff },
        { Each(0x05404, 16, 8),        4, IgbRegister.AddressHigh,           0, 0x83ff_ffff },
        { Each(0x054e0, 8, 8),         4, IgbRegister.AddressLowMore,        0, 0xffff_ffff },
        { Each(0x054e4, 8, 8),         4, IgbRegister.AddressHighMore,       0, 0x83ff_ffff },
        { Each(0x05480, 16, 4),        4, IgbRegister.SplitType,             0, 0xffff_ffff },
        { Each(0x05600, 128, 4),       4, IgbRegister.VlanTable,             0, 0xffff_ffff },
        { 0x05800,                     4, IgbRegister.WakeControl,           0, 0x0000_011f },
        { 0x05808,                     4, IgbRegister.WakeFilter,            0, 0xffff_80ff },
        { 0x05818,                     4, IgbRegister.MultipleQueues,        0, 0xffff_ffff },
        { 0x0581c,                     4, IgbRegister.VirtualControl,        0, 0xffff_ffff },
        { 0x05820,                     4, IgbRegister.Management,            0, 0xffff_ffff },
        { Each(0x05ad0, 8, 4),         4, IgbRegister.VirtualOffloads,       0x8000_2600, 0xffff_ffff },
        { 0x05af0,                     4, IgbRegister.ReplicationOffloads,   0x8000_0000, 0xffff_ffff },
        { 0x05b00,                     4, IgbRegister.PcieControl,           0x0001_0000, 0xffff_ffff },
        { 0x05b30,                     4, IgbRegister.FunctionsActive,       0x0000_0000 },
        { 0x05b50,                     4, IgbRegister.SoftwareSemaphore,     0, 0x0000_0003 },
        { 0x05b54,                     4, IgbRegister.FirmwareSemaphore },
        { 0x05b5c,                     4, IgbRegister.SoftwareFirmwareSync,  0, 0xffff_ffff },
        { 0x05b68,                     4, IgbRegister.PendingClear,          0, 0x01ff_ffff },
        { 0x05bbc,                     4, IgbRegister.IovControl,            0, 0x0000_0001 },
        { Each(0x05c00, 32, 4),        4, IgbRegister.Redirection,           0, 0xffff_ffff },
        { Each(0x05c80, 10, 4),        4, IgbRegister.HashKey,               0, 0xffff_ffff },
        { Each(0x05d00, VlanPools, 4), 4, IgbRegister.VlanPool,              0, 0xffff_ffff },
        { Each(0x0a000, 128, 4),       4, IgbRegister.UnicastTable,          0, 0xffff_ffff },
        { 0x0b600,                     4, IgbRegister.SystemTimeLow,         0, 0xffff_ffff },
        { 0x0b604,                     4, IgbRegister.SystemTimeHigh,        0, 0xffff_ffff },
        { 0x0b608,                     4, IgbRegister.TimeIncrement,         0, 0xffff_ffff },
        { Each(0x0c000, 16, 0x40),     4, IgbRegister.ReceiveBaseLow,        0, 0xffff_ff80 },
        { Each(0x0c004, 16, 0x40),     4, IgbRegister.ReceiveBaseHigh,       0, 0xffff_ffff },
        { Each(0x0c008, 16, 0x40),     4, IgbRegister.ReceiveLength,         0, 0x000f_fff0 },
        { Each(0x0c00c, 16, 0x40),     4, IgbRegister.ReceiveSplit,          0, 0xbfff_3fff },
        { Each(0x0c010, 16, 0x40),     4, IgbRegister.ReceiveHead,           0, 0x0000_ffff },
        { Each(0x0c014, 16, 0x40),     4, IgbRegister.ReceiveCache,          0x0000_a200, 0xffff_ffff },
        { Each(0x0c018, 16, 0x40),     4, IgbRegister.ReceiveTail,           0, 0x0000_ffff },
        { Each(0x0c028, 16, 0x40),     4, IgbRegister.ReceiveDescriptors,    0x0001_0000, 0x021f_1f1f },
        { Each(0x0c030, 16, 0x40),     4, IgbRegister.ReceiveDropped,        0, 0, 0, 0xffff_ffff },
        { Each(0x0e000, 16, 0x40),     4, IgbRegister.TransmitBaseLow,       0, 0xffff_ff80 },
        { Each(0x0e004, 16, 0x40),     4, IgbRegister.TransmitBaseHigh,      0, 0xffff_ffff },
        { Each(0x0e008, 16, 0x40),     4, IgbRegister.TransmitLength,        0, 0x000f_fff0 },
        { Each(0x0e010, 16, 0x40),     4, IgbRegister.TransmitHead,          0, 0x0000_ffff },
        { Each(0x0e014, 16, 0x40),     4, IgbRegister.TransmitCache,         0x0000_2a00, 0xffff_ffff },
        { Each(0x0e018, 16, 0x40),     4, IgbRegister.TransmitTail,          0, 0x0000_ffff },
        { Each(0x0e028, 16, 0x40),     4, IgbRegister.TransmitDescriptors,   0, 0x031f_1f1f },
        { Each(0x0e038, 16, 0x40),     4, IgbRegister.HeadWritebackLow,      0, 0xffff_fffd },
        { Each(0x0e03c, 16, 0x40),     4, IgbRegister.HeadWritebackHigh,     0, 0xffff_ffff },

        // The same registers at the places of earlier controllers; section 8.1.
        { Each(0x00004, 1, 0),         IgbRegister.Control },
        { Each(0x000c0, 1, 0),         IgbRegister.InterruptCause },
        { Each(0x000c8, 1, 0),         IgbRegister.InterruptCauseSet },
        { Each(0x000d0, 1, 0),         IgbRegister.InterruptMaskSet },
        { Each(0x000d8, 1, 0),         IgbRegister.InterruptMaskClear },
        { Each(0x000e0, 1, 0),         IgbRegister.InterruptAutoMask },
        { Each(0x00040, 16, 8),        IgbRegister.AddressLow },
        { Each(0x00044, 16, 8),        IgbRegister.AddressHigh },
        { Each(0x00200, 128, 4),       IgbRegister.MulticastTable },
        { Each(0x00600, 128, 4),       IgbRegister.VlanTable },
        { Each(0x02800, 4, 0x100),     IgbRegister.ReceiveBaseLow },
        { Each(0x02804, 4, 0x100),     IgbRegister.ReceiveBaseHigh },
        { Each(0x02808, 4, 0x100),     IgbRegister.ReceiveLength },
        { Each(0x0280c, 4, 0x100),     IgbRegister.ReceiveSplit },
        { Each(0x02810, 4, 0x100),     IgbRegister.ReceiveHead },
        { Each(0x02814, 4, 0x100),     IgbRegister.ReceiveCache },
        { Each(0x02818, 4, 0x100),     IgbRegister.ReceiveTail },
        { Each(0x02828, 4, 0x100),     IgbRegister.ReceiveDescriptors },
        { Each(0x02830, 4, 0x100),     IgbRegister.ReceiveDropped },
        { Each(0x03800, 4, 0x100),     IgbRegister.TransmitBaseLow },
        { Each(0x03804, 4, 0x100),     IgbRegister.TransmitBaseHigh },
        { Each(0x03808, 4, 0x100),     IgbRegister.TransmitLength },
        { Each(0x03810, 4, 0x100),     IgbRegister.TransmitHead },
        { Each(0x03814, 4, 0x100),     IgbRegister.TransmitCache },
        { Each(0x03818, 4, 0x100),     IgbRegister.TransmitTail },
        { Each(0x03828, 4, 0x100),     IgbRegister.TransmitDescriptors },
        { Each(0x03838, 4, 0x100),     IgbRegister.HeadWritebackLow },
        { Each(0x0383c, 4, 0x100),     IgbRegister.HeadWritebackHigh },
    };

    private static RegisterSeries Each(ulong start, int count, ulong stride) => new(start, count, stride);
}
