namespace Vfio.Drivers.Igb;

/// <summary>Registers in BAR0 of the Intel 82576: those that its physical and its virtual functions have at the same place.</summary>
/// <remarks>Intel 82576 Gigabit Ethernet Controller Datasheet, chapter 8; section 8.28 for virtual functions. All are 32 bits.</remarks>
internal static class IgbRegisters
{
    /// <summary>CTRL: device control.</summary>
    internal const long Control = 0x00000;

    /// <summary>STATUS: see <see cref="IgbStatus"/>.</summary>
    internal const long Status = 0x00008;

    /// <summary>EIMS: extended interrupt mask set.</summary>
    internal const long InterruptMaskSet = 0x01524;

    /// <summary>EIMC: extended interrupt mask clear.</summary>
    internal const long InterruptMaskClear = 0x01528;

    /// <summary>EIAC: causes that are cleared when their message is sent.</summary>
    internal const long InterruptAutoClear = 0x0152c;

    /// <summary>EIAM: causes that are masked when their message is sent.</summary>
    internal const long InterruptAutoMask = 0x01530;

    /// <summary>EICR: extended interrupt causes; a 1 that is written clears.</summary>
    internal const long InterruptCause = 0x01580;

    /// <summary>EITR 0: throttle of vector 0; its interval is in bits 14:2, in microseconds.</summary>
    internal const long InterruptThrottle = 0x01680;

    /// <summary>IVAR 0 of the physical function, VTIVAR of a virtual one: which vector queue 0 raises. Receive in bits 7:0.</summary>
    internal const long VectorAllocation = 0x01700;

    /// <summary>Of <see cref="Control"/>: RST, which clears itself.</summary>
    internal const uint Reset = 0x0400_0000;

    /// <summary>Of <see cref="VectorAllocation"/>: vector 0 for receive, and the entry is valid. Transmit raises none.</summary>
    internal const uint ReceiveRaisesVector0 = 0x80;

    /// <summary>Of the interrupt registers: vector 0.</summary>
    internal const uint Vector0 = 1;

    /// <summary>Of <see cref="InterruptThrottle"/>: CNT_IGNR, the running counter stays.</summary>
    internal const uint ThrottleKeepsCounter = 0x8000_0000;

    /// <summary>Longest interval that <see cref="InterruptThrottle"/> holds, in microseconds.</summary>
    internal const int LongestThrottle = 0x1fff;

    /// <summary>Bytes of a descriptor.</summary>
    internal const int DescriptorBytes = 16;
}
