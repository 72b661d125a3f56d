namespace Vfio.Devices.Igb;

/// <summary>Registers of a virtual function of the 82576; their places are in <see cref="IgbVirtualRegisters"/>.</summary>
/// <remarks>82576 Datasheet, section 8.28.</remarks>
internal enum IgbVirtualRegister
{
    /// <summary>VTCTRL: reset.</summary>
    Control,

    /// <summary>VTSTATUS: the link, as the physical function has it.</summary>
    Status,

    /// <summary>VTFRTIMER: microseconds.</summary>
    Timer,

    /// <summary>VMBMEM: memory of its mailbox.</summary>
    MailboxMemory,

    /// <summary>V2PMailbox: who has the mailbox, and what was told.</summary>
    Mailbox,

    /// <summary>PBACL: pending bits of MSI-X.</summary>
    PendingClear,

    /// <summary>PSRTYPE: which headers are split off.</summary>
    SplitType,

    /// <summary>VFGPRC.</summary>
    GoodReceived,

    /// <summary>VFGPTC.</summary>
    GoodSent,

    /// <summary>VFGORC.</summary>
    GoodOctetsReceived,

    /// <summary>VFGOTC.</summary>
    GoodOctetsSent,

    /// <summary>VFMPRC.</summary>
    MulticastsReceived,

    /// <summary>VFGPRLBC.</summary>
    LocalReceived,

    /// <summary>VFGPTLBC.</summary>
    LocalSent,

    /// <summary>VFGORLBC.</summary>
    LocalOctetsReceived,

    /// <summary>VFGOTLBC.</summary>
    LocalOctetsSent,

    /// <summary>VTEICS: raises vectors.</summary>
    VectorCauseSet,

    /// <summary>VTEIMS: unmasks vectors.</summary>
    VectorMaskSet,

    /// <summary>VTEIMC: masks vectors.</summary>
    VectorMaskClear,

    /// <summary>VTEIAC: vectors that are cleared when their message is sent.</summary>
    VectorAutoClear,

    /// <summary>VTEIAM: vectors that are masked when their message is sent.</summary>
    VectorAutoMask,

    /// <summary>VTEICR: vectors that were raised.</summary>
    VectorCause,

    /// <summary>VTEITR: the time between two interrupts of a vector.</summary>
    Throttle,

    /// <summary>VTIVAR: the vectors of its queues.</summary>
    VectorAllocation,

    /// <summary>VTIVAR_MISC: the vector of its mailbox.</summary>
    VectorAllocationOther,

    /// <summary>RDBAL.</summary>
    ReceiveBaseLow,

    /// <summary>RDBAH.</summary>
    ReceiveBaseHigh,

    /// <summary>RDLEN.</summary>
    ReceiveLength,

    /// <summary>SRRCTL.</summary>
    ReceiveSplit,

    /// <summary>RDH.</summary>
    ReceiveHead,

    /// <summary>RXCTL.</summary>
    ReceiveCache,

    /// <summary>RDT.</summary>
    ReceiveTail,

    /// <summary>RXDCTL.</summary>
    ReceiveDescriptors,

    /// <summary>RQDPC.</summary>
    ReceiveDropped,

    /// <summary>TDBAL.</summary>
    TransmitBaseLow,

    /// <summary>TDBAH.</summary>
    TransmitBaseHigh,

    /// <summary>TDLEN.</summary>
    TransmitLength,

    /// <summary>TDH.</summary>
    TransmitHead,

    /// <summary>TXCTL.</summary>
    TransmitCache,

    /// <summary>TDT.</summary>
    TransmitTail,

    /// <summary>TXDCTL.</summary>
    TransmitDescriptors,

    /// <summary>TDWBAL.</summary>
    HeadWritebackLow,

    /// <summary>TDWBAH.</summary>
    HeadWritebackHigh,
}
