using Vfio.Guard;

namespace Vfio.Devices.Igb;

/// <summary>BAR0 of a virtual function of the 82576: its registers as a table.</summary>
/// <remarks>
/// <para>82576 Datasheet, section 8.28. Those of mailbox memory and of the queues are the physical function's too, at other places: their
/// values are there (<see cref="IgbRegisters"/>), and <see cref="Shared"/> says where.</para>
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

    /// <summary>Registers of the physical function's BAR0 that are its own too: the place of the first one of virtual function 0, from one
    /// to the next, and from one virtual function to the next, in bytes.</summary>
    public static readonly (IgbVirtualRegister Register, ulong Place, ulong Stride, ulong PerFunction)[] Shared =
    [
        (IgbVirtualRegister.MailboxMemory, 0x0800, 4, 0x40),
        (IgbVirtualRegister.SplitType, 0x5480, 0, 4),
        OfQueue(IgbVirtualRegister.ReceiveBaseLow, 0xc000),
        OfQueue(IgbVirtualRegister.ReceiveBaseHigh, 0xc004),
        OfQueue(IgbVirtualRegister.ReceiveLength, 0xc008),
        OfQueue(IgbVirtualRegister.ReceiveSplit, 0xc00c),
        OfQueue(IgbVirtualRegister.ReceiveHead, 0xc010),
        OfQueue(IgbVirtualRegister.ReceiveCache, 0xc014),
        OfQueue(IgbVirtualRegister.ReceiveTail, 0xc018),
        OfQueue(IgbVirtualRegister.ReceiveDescriptors, 0xc028),
        OfQueue(IgbVirtualRegister.ReceiveDropped, 0xc030),
        OfQueue(IgbVirtualRegister.TransmitBaseLow, 0xe000),
        OfQueue(IgbVirtualRegister.TransmitBaseHigh, 0xe004),
        OfQueue(IgbVirtualRegister.TransmitLength, 0xe008),
        OfQueue(IgbVirtualRegister.TransmitHead, 0xe010),
        OfQueue(IgbVirtualRegister.TransmitCache, 0xe014),
        OfQueue(IgbVirtualRegister.TransmitTail, 0xe018),
        OfQueue(IgbVirtualRegister.TransmitDescriptors, 0xe028),
        OfQueue(IgbVirtualRegister.HeadWritebackLow, 0xe038),
        OfQueue(IgbVirtualRegister.HeadWritebackHigh, 0xe03c),
    ];

    private static RegisterSeries Each(ulong start, int count, ulong stride) => new(start, count, stride);

    // Queue 0 of virtual function n is queue n of the port, queue 1 is queue n + 8.
    private static (IgbVirtualRegister Register, ulong Place, ulong Stride, ulong PerFunction) OfQueue(IgbVirtualRegister register, ulong place) =>
        (register, place, 0x40 * IgbRegisters.Pools, 0x40);
}
