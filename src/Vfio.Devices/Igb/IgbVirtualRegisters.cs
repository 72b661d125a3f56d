using Vfio.Guard;

namespace Vfio.Devices.Igb;

/// <summary>BAR0 of a virtual function of the 82576: its registers as a table.</summary>
/// <remarks>
/// <para>82576 Datasheet, section 8.28. Those of mailbox memory and of the queues are the physical function's too, at other places: their
/// values are there (<see cref="IgbRegisters"/>).</para>
/// </remarks>
internal static class IgbVirtualRegisters
{
    /// <summary>Size of BAR0 in bytes.</summary>
    public const int BarLength = 0x4000;

    /// <summary>How many queues it has each way.</summary>
    public const int Queues = 2;

    /// <summary>How many MSI-X vectors it has.</summary>
    public const int Vectors = 3;

    /// <summary>Dwords of its mailbox.</summary>
    public const int MailboxDwords = 16;

    /// <summary>The table.</summary>
    public static readonly RegisterMap<IgbVirtualRegister> Map = new(BarLength)
    {
        // places, bytes, register,                                             reset, writable
        { 0x0000,                       4, IgbVirtualRegister.Control },
        { 0x0008,                       4, IgbVirtualRegister.Status },
        { Each(0x0800, MailboxDwords, 4), 4, IgbVirtualRegister.MailboxMemory },
        { 0x0c40,                       4, IgbVirtualRegister.Mailbox },
        { 0x0f04,                       4, IgbVirtualRegister.PendingClear,     0, 0x0000_0007 },
        { 0x0f0c,                       4, IgbVirtualRegister.SplitType },
        { 0x0f10,                       4, IgbVirtualRegister.GoodReceived },
        { 0x0f14,                       4, IgbVirtualRegister.GoodSent },
        { 0x0f18,                       4, IgbVirtualRegister.GoodOctetsReceived },
        { 0x0f34,                       4, IgbVirtualRegister.GoodOctetsSent },
        { 0x0f3c,                       4, IgbVirtualRegister.MulticastsReceived },
        { 0x0f40,                       4, IgbVirtualRegister.LocalReceived },
        { 0x0f44,                       4, IgbVirtualRegister.LocalSent },
        { 0x0f48,                       4, IgbVirtualRegister.LocalOctetsReceived },
        { 0x0f50,                       4, IgbVirtualRegister.LocalOctetsSent },
        { 0x1048,                       4, IgbVirtualRegister.Timer },
        { 0x1520,                       4, IgbVirtualRegister.VectorCauseSet },
        { 0x1524,                       4, IgbVirtualRegister.VectorMaskSet },
        { 0x1528,                       4, IgbVirtualRegister.VectorMaskClear },
        { 0x152c,                       4, IgbVirtualRegister.VectorAutoClear,  0, 0x0000_0007 },
        { 0x1530,                       4, IgbVirtualRegister.VectorAutoMask,   0, 0x0000_0007 },
        { 0x1580,                       4, IgbVirtualRegister.VectorCause },
        { Each(0x1680, Vectors, 4),     4, IgbVirtualRegister.Throttle,         0, 0x0000_7ffc },
        { 0x1700,                       4, IgbVirtualRegister.VectorAllocation, 0, 0x8383_8383 },
        { 0x1740,                       4, IgbVirtualRegister.VectorAllocationOther, 0, 0x0000_0083 },
        { Each(0x2800, Queues, 0x100),  4, IgbVirtualRegister.ReceiveBaseLow },
        { Each(0x2804, Queues, 0x100),  4, IgbVirtualRegister.ReceiveBaseHigh },
        { Each(0x2808, Queues, 0x100),  4, IgbVirtualRegister.ReceiveLength },
        { Each(0x280c, Queues, 0x100),  4, IgbVirtualRegister.ReceiveSplit },
        { Each(0x2810, Queues, 0x100),  4, IgbVirtualRegister.ReceiveHead },
        { Each(0x2814, Queues, 0x100),  4, IgbVirtualRegister.ReceiveCache },
        { Each(0x2818, Queues, 0x100),  4, IgbVirtualRegister.ReceiveTail },
        { Each(0x2828, Queues, 0x100),  4, IgbVirtualRegister.ReceiveDescriptors },
        { Each(0x2830, Queues, 0x100),  4, IgbVirtualRegister.ReceiveDropped },
        { Each(0x3800, Queues, 0x100),  4, IgbVirtualRegister.TransmitBaseLow },
        { Each(0x3804, Queues, 0x100),  4, IgbVirtualRegister.TransmitBaseHigh },
        { Each(0x3808, Queues, 0x100),  4, IgbVirtualRegister.TransmitLength },
        { Each(0x3810, Queues, 0x100),  4, IgbVirtualRegister.TransmitHead },
        { Each(0x3814, Queues, 0x100),  4, IgbVirtualRegister.TransmitCache },
        { Each(0x3818, Queues, 0x100),  4, IgbVirtualRegister.TransmitTail },
        { Each(0x3828, Queues, 0x100),  4, IgbVirtualRegister.TransmitDescriptors },
        { Each(0x3838, Queues, 0x100),  4, IgbVirtualRegister.HeadWritebackLow },
        { Each(0x383c, Queues, 0x100),  4, IgbVirtualRegister.HeadWritebackHigh },
    };

    /// <summary>Registers of which each queue has one, and what they are in the physical function's BAR0.</summary>
    public static readonly (IgbVirtualRegister Own, IgbRegister Port)[] OfQueues =
    [
        (IgbVirtualRegister.ReceiveBaseLow, IgbRegister.ReceiveBaseLow),
        (IgbVirtualRegister.ReceiveBaseHigh, IgbRegister.ReceiveBaseHigh),
        (IgbVirtualRegister.ReceiveLength, IgbRegister.ReceiveLength),
        (IgbVirtualRegister.ReceiveSplit, IgbRegister.ReceiveSplit),
        (IgbVirtualRegister.ReceiveHead, IgbRegister.ReceiveHead),
        (IgbVirtualRegister.ReceiveCache, IgbRegister.ReceiveCache),
        (IgbVirtualRegister.ReceiveTail, IgbRegister.ReceiveTail),
        (IgbVirtualRegister.ReceiveDescriptors, IgbRegister.ReceiveDescriptors),
        (IgbVirtualRegister.ReceiveDropped, IgbRegister.ReceiveDropped),
        (IgbVirtualRegister.TransmitBaseLow, IgbRegister.TransmitBaseLow),
        (IgbVirtualRegister.TransmitBaseHigh, IgbRegister.TransmitBaseHigh),
        (IgbVirtualRegister.TransmitLength, IgbRegister.TransmitLength),
        (IgbVirtualRegister.TransmitHead, IgbRegister.TransmitHead),
        (IgbVirtualRegister.TransmitCache, IgbRegister.TransmitCache),
        (IgbVirtualRegister.TransmitTail, IgbRegister.TransmitTail),
        (IgbVirtualRegister.TransmitDescriptors, IgbRegister.TransmitDescriptors),
        (IgbVirtualRegister.HeadWritebackLow, IgbRegister.HeadWritebackLow),
        (IgbVirtualRegister.HeadWritebackHigh, IgbRegister.HeadWritebackHigh),
    ];

    private static RegisterSeries Each(ulong start, int count, ulong stride) => new(start, count, stride);
}
