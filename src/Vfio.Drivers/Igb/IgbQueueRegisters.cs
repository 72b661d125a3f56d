namespace Vfio.Drivers.Igb;

/// <summary>Registers of a queue, counted from its first; the same for transmit, receive, and both kinds of functions.</summary>
/// <remarks>82576 Datasheet, sections 8.10 and 8.12.</remarks>
internal static class IgbQueueRegisters
{
    /// <summary>RDBAL, TDBAL: address of the descriptors, its low half; a multiple of 128.</summary>
    internal const long BaseLow = 0x00;

    /// <summary>RDBAH, TDBAH: its high half.</summary>
    internal const long BaseHigh = 0x04;

    /// <summary>RDLEN, TDLEN: bytes of the descriptors, a multiple of 128.</summary>
    internal const long Length = 0x08;

    /// <summary>SRRCTL: how frames are split over buffers; receive only.</summary>
    internal const long SplitControl = 0x0c;

    /// <summary>RDH, TDH: the next descriptor that the device uses.</summary>
    internal const long Head = 0x10;

    /// <summary>RDT, TDT: the first descriptor that is not the device's; writing it is the doorbell.</summary>
    internal const long Tail = 0x18;

    /// <summary>RXDCTL, TXDCTL: thresholds and the enable bit.</summary>
    internal const long DescriptorControl = 0x28;

    /// <summary>Of <see cref="SplitControl"/>: advanced descriptors with one buffer (DESCTYPE 001) of 2 KiB (BSIZEPACKET 2).</summary>
    internal const uint OneBufferOf2KiB = 0x0200_0002;

    /// <summary>Of <see cref="SplitControl"/>: Drop_En, frames are dropped when no descriptor is free, so that other queues go on.</summary>
    internal const uint DropWhenEmpty = 0x8000_0000;

    /// <summary>Of <see cref="DescriptorControl"/>: ENABLE.</summary>
    internal const uint Enable = 0x0200_0000;

    /// <summary>Of RXDCTL: fetch below 8 descriptors (PTHRESH) while 8 are there (HTHRESH), write back each (WTHRESH 1).</summary>
    internal const uint ReceiveThresholds = 0x0001_0808;

    /// <summary>Of TXDCTL: fetch below 8 descriptors while 1 is there, write back those that ask for it (WTHRESH 0).</summary>
    internal const uint TransmitThresholds = 0x0000_0108;
}
