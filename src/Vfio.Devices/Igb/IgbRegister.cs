namespace Vfio.Devices.Igb;

/// <summary>The registers of the 82576, in the order of <see cref="IgbRegisters.Map"/>.</summary>
/// <remarks>Names and sections are of the Intel 82576 Gigabit Ethernet Controller Datasheet.</remarks>
internal enum IgbRegister
{
    /// <summary>CTRL: device control; section 8.2.1.</summary>
    Control,

    /// <summary>STATUS: device status; section 8.2.2.</summary>
    Status,

    /// <summary>EEC: the NVM and its presence; section 8.4.1.</summary>
    NvmControl,

    /// <summary>EERD: one word of the NVM; section 8.4.2.</summary>
    NvmRead,

    /// <summary>CTRL_EXT: extended device control; section 8.2.3.</summary>
    ExtendedControl,

    /// <summary>FLA: flash access; there is none; section 8.4.</summary>
    FlashAccess,

    /// <summary>MDIC: registers of the PHY; section 8.2.4.</summary>
    MdiControl,

    /// <summary>SERDESCTL; section 8.2.</summary>
    SerdesControl,

    /// <summary>FCAL: address of pause frames; section 8.5.</summary>
    FlowAddressLow,

    /// <summary>FCAH: its high part; section 8.5.</summary>
    FlowAddressHigh,

    /// <summary>FCT: EtherType of pause frames; section 8.5.</summary>
    FlowType,

    /// <summary>CONNSW: copper and fiber switch; section 8.2.</summary>
    CopperSwitch,

    /// <summary>VET: EtherType of VLAN tags; section 8.2.</summary>
    VlanType,

    /// <summary>RCTL: receive control; section 8.10.1.</summary>
    ReceiveControl,

    /// <summary>FCTTV: time in pause frames; section 8.5.</summary>
    FlowTimer,

    /// <summary>TCTL: transmit control; section 8.12.</summary>
    TransmitControl,

    /// <summary>TCTL_EXT; section 8.12.</summary>
    TransmitControlExtended,

    /// <summary>TIPG: gap between frames; section 8.12.</summary>
    TransmitGap,

    /// <summary>LEDCTL; section 8.2.</summary>
    Leds,

    /// <summary>EEMNGCTL: the configuration was read (CFG_DONE); section 8.4.</summary>
    ManagementNvmControl,

    /// <summary>ICR: interrupt causes; section 8.8.</summary>
    InterruptCause,

    /// <summary>ICS; section 8.8.</summary>
    InterruptCauseSet,

    /// <summary>IMS; section 8.8.</summary>
    InterruptMaskSet,

    /// <summary>IMC; section 8.8.</summary>
    InterruptMaskClear,

    /// <summary>IAM: causes that reading ICR masks; section 8.8.13.</summary>
    InterruptAutoMask,

    /// <summary>GPIE: how interrupts are raised; section 8.8.</summary>
    InterruptEnable,

    /// <summary>EICS; section 8.8.</summary>
    VectorCauseSet,

    /// <summary>EIMS; section 8.8.</summary>
    VectorMaskSet,

    /// <summary>EIMC; section 8.8.</summary>
    VectorMaskClear,

    /// <summary>EIAC: causes that their message clears; section 8.8.5.</summary>
    VectorAutoClear,

    /// <summary>EIAM: causes that their message masks; section 8.8.6.</summary>
    VectorAutoMask,

    /// <summary>EICR: extended interrupt causes; section 8.8.1.</summary>
    VectorCause,

    /// <summary>EITR: shortest time between two interrupts of a vector, in bits 14:2; section 8.8.</summary>
    Throttle,

    /// <summary>IVAR: which vector a queue raises; section 8.8.13.</summary>
    VectorAllocation,

    /// <summary>IVAR_MISC: which vector other causes raise; section 8.8.</summary>
    VectorAllocationOther,

    /// <summary>FCRTL0; section 8.5.</summary>
    FlowThresholdLow,

    /// <summary>FCRTH0; section 8.5.</summary>
    FlowThresholdHigh,

    /// <summary>RXPBS: size of the receive packet buffer in KiB; section 8.3.</summary>
    ReceiveBuffer,

    /// <summary>QDE: virtual functions whose frames are dropped; section 8.14.</summary>
    QueueDrop,

    /// <summary>FCRTV; section 8.5.</summary>
    FlowRefresh,

    /// <summary>TXPBS: size of the transmit packet buffer in KiB; section 8.3.</summary>
    TransmitBuffer,

    /// <summary>DTXSWC: switch between functions; section 8.14.</summary>
    SwitchControl,

    /// <summary>DTXMXSZRQ; section 8.12.</summary>
    TransmitMaxRequest,

    /// <summary>DTXCTL: DMA of transmission; section 8.12.</summary>
    TransmitDma,

    /// <summary>DTXTCPFLGL: TCP flags of segments but the last; section 8.12.</summary>
    TcpFlagsLow,

    /// <summary>DTXTCPFLGH: TCP flags of the last segment; section 8.12.</summary>
    TcpFlagsHigh,

    /// <summary>Statistics, each cleared when read; section 8.18. Which one: <see cref="IgbStatistic"/>.</summary>
    Statistic,

    /// <summary>RXCSUM: receive checksums; section 8.10.</summary>
    ReceiveChecksum,

    /// <summary>RLPML: longest frame with LPE; section 8.10.</summary>
    LongestFrame,

    /// <summary>RFCTL; section 8.10.</summary>
    ReceiveFilter,

    /// <summary>MTA: multicast addresses by their hash; section 8.10.</summary>
    MulticastTable,

    /// <summary>RAL 0 to 15: first octets of a station address; section 8.10.</summary>
    AddressLow,

    /// <summary>RAH 0 to 15: its last octets and AV; section 8.10.</summary>
    AddressHigh,

    /// <summary>RAL 16 to 23; section 8.10.</summary>
    AddressLowMore,

    /// <summary>RAH 16 to 23; section 8.10.</summary>
    AddressHighMore,

    /// <summary>PSRTYPE: which headers are split; section 8.10.</summary>
    SplitType,

    /// <summary>VFTA: VLANs that are received; section 8.10.</summary>
    VlanTable,

    /// <summary>WUC: wake up; section 8.20.</summary>
    WakeControl,

    /// <summary>WUFC; section 8.20.</summary>
    WakeFilter,

    /// <summary>MRQC: how frames are spread over queues; section 8.10.</summary>
    MultipleQueues,

    /// <summary>VT_CTL: default queues of virtual functions; section 8.14.</summary>
    VirtualControl,

    /// <summary>MANC: management control; section 8.21.</summary>
    Management,

    /// <summary>VMOLR: offloads of a virtual function; section 8.14.</summary>
    VirtualOffloads,

    /// <summary>RPLOLR; section 8.14.</summary>
    ReplicationOffloads,

    /// <summary>GCR: PCIe control; section 8.6.1.</summary>
    PcieControl,

    /// <summary>FACTPS: power states; section 8.6.</summary>
    FunctionsActive,

    /// <summary>SWSM: semaphore of drivers and firmware; section 8.7.1.</summary>
    SoftwareSemaphore,

    /// <summary>FWSM: there is no firmware; section 8.7.</summary>
    FirmwareSemaphore,

    /// <summary>SW_FW_SYNC: what software and firmware hold; section 8.7.3.</summary>
    SoftwareFirmwareSync,

    /// <summary>PBACL: pending bits of MSI-X; section 8.8.</summary>
    PendingClear,

    /// <summary>RETA: queue of a hash, four a register; section 8.10.</summary>
    Redirection,

    /// <summary>RSSRK: the key of the hash; section 8.10.</summary>
    HashKey,

    /// <summary>PFMailbox: who has the mailbox of a virtual function, and what was told; section 8.14.</summary>
    Mailbox,

    /// <summary>VMBMEM: memory of the mailboxes, 16 dwords each; section 8.14.</summary>
    MailboxMemory,

    /// <summary>MBVFICR: which virtual functions wrote a message, or read one; section 8.14.</summary>
    MailboxCause,

    /// <summary>MBVFIMR: which virtual functions' mailboxes may raise VMMB; section 8.14.</summary>
    MailboxMask,

    /// <summary>VFLRE: which virtual functions were reset; section 8.14.</summary>
    FunctionResets,

    /// <summary>VFRE: which pools receive; section 8.14.</summary>
    PoolReceive,

    /// <summary>VFTE: which pools send; section 8.14.</summary>
    PoolTransmit,

    /// <summary>WVBR: which pools sent what they may not; section 8.14.</summary>
    WrongBehaviour,

    /// <summary>VMVIR: the tag of a pool that has one; section 8.14.</summary>
    PoolTag,

    /// <summary>IOVCTL: use of a virtual function's queues while it is not there; section 8.14.</summary>
    IovControl,

    /// <summary>VLVF: VLANs of virtual functions; section 8.14.</summary>
    VlanPool,

    /// <summary>UTA: unicast addresses by their hash; section 8.10.</summary>
    UnicastTable,

    /// <summary>SYSTIML: the clock; section 8.16.</summary>
    SystemTimeLow,

    /// <summary>SYSTIMH; section 8.16.</summary>
    SystemTimeHigh,

    /// <summary>TIMINCA: how the clock goes; section 8.16.</summary>
    TimeIncrement,

    /// <summary>RDBAL: where the descriptors of a receive queue are; section 8.10.</summary>
    ReceiveBaseLow,

    /// <summary>RDBAH; section 8.10.</summary>
    ReceiveBaseHigh,

    /// <summary>RDLEN: bytes of the descriptors; section 8.10.</summary>
    ReceiveLength,

    /// <summary>SRRCTL: kind of the descriptors, sizes of buffers; section 8.10.2.</summary>
    ReceiveSplit,

    /// <summary>RDH: the next descriptor that the device uses; section 8.10.</summary>
    ReceiveHead,

    /// <summary>RXCTL: hints for caches; section 8.13.</summary>
    ReceiveCache,

    /// <summary>RDT: the first descriptor that is not the device's; section 8.10.</summary>
    ReceiveTail,

    /// <summary>RXDCTL: thresholds and ENABLE; section 8.10.10.</summary>
    ReceiveDescriptors,

    /// <summary>RQDPC: frames that a queue had no descriptor for; section 8.10.</summary>
    ReceiveDropped,

    /// <summary>TDBAL: where the descriptors of a transmit queue are; section 8.12.</summary>
    TransmitBaseLow,

    /// <summary>TDBAH; section 8.12.</summary>
    TransmitBaseHigh,

    /// <summary>TDLEN; section 8.12.</summary>
    TransmitLength,

    /// <summary>TDH; section 8.12.</summary>
    TransmitHead,

    /// <summary>TXCTL; section 8.13.</summary>
    TransmitCache,

    /// <summary>TDT; writing it is the doorbell; section 8.12.</summary>
    TransmitTail,

    /// <summary>TXDCTL: thresholds and ENABLE; section 8.12.13.</summary>
    TransmitDescriptors,

    /// <summary>TDWBAL: where TDH is written to, and whether; section 8.12.</summary>
    HeadWritebackLow,

    /// <summary>TDWBAH; section 8.12.</summary>
    HeadWritebackHigh,
}
