namespace Vfio.Drivers.Igb;

/// <summary>Registers in BAR0 that only the physical function of an 82576 has.</summary>
/// <remarks>82576 Datasheet, chapter 8.</remarks>
internal static class IgbPhysicalRegisters
{
    /// <summary>CTRL_EXT: extended device control.</summary>
    internal const long ExtendedControl = 0x00018;

    /// <summary>MDIC: registers of the PHY.</summary>
    internal const long MdiControl = 0x00020;

    /// <summary>ICR: interrupt causes; reading clears.</summary>
    internal const long LegacyCause = 0x000c0;

    /// <summary>IMC: interrupt mask clear.</summary>
    internal const long LegacyMaskClear = 0x000d8;

    /// <summary>RCTL: receive control.</summary>
    internal const long ReceiveControl = 0x00100;

    /// <summary>TCTL: transmit control.</summary>
    internal const long TransmitControl = 0x00400;

    /// <summary>GPIE: general purpose interrupt enable.</summary>
    internal const long InterruptEnable = 0x01514;

    /// <summary>MTA: 128 registers, which multicast addresses are received by their hash.</summary>
    internal const long MulticastTable = 0x05200;

    /// <summary>RAL 0: the first four octets of the station's address, the first in bits 7:0.</summary>
    internal const long AddressLow = 0x05400;

    /// <summary>RAH 0: its last two octets, and <see cref="AddressValid"/>.</summary>
    internal const long AddressHigh = 0x05404;

    /// <summary>MRQC: how frames are spread over queues.</summary>
    internal const long MultipleQueues = 0x05818;

    /// <summary>SWSM: semaphore between drivers and firmware.</summary>
    internal const long SoftwareSemaphore = 0x05b50;

    /// <summary>SW_FW_SYNC: what software and firmware hold.</summary>
    internal const long SoftwareFirmwareSync = 0x05b5c;

    /// <summary>First register of receive queue 0.</summary>
    internal const long ReceiveQueue = 0x0c000;

    /// <summary>First register of transmit queue 0.</summary>
    internal const long TransmitQueue = 0x0e000;

    /// <summary>Entries of <see cref="MulticastTable"/>.</summary>
    internal const int MulticastEntries = 128;

    /// <summary>Of CTRL: GIO Master Disable, no more requests on the bus.</summary>
    internal const uint MasterDisable = 0x0000_0004;

    /// <summary>Of CTRL: SLU, set link up.</summary>
    internal const uint SetLinkUp = 0x0000_0040;

    /// <summary>Of CTRL: FRCSPD and FRCDPLX, speed and duplex are not the PHY's choice.</summary>
    internal const uint ForceSpeedAndDuplex = 0x0000_1800;

    /// <summary>Of CTRL_EXT: DRV_LOAD, a driver is there; for the firmware.</summary>
    internal const uint DriverLoaded = 0x1000_0000;

    /// <summary>Of CTRL_EXT: LINK_MODE, 0 for the internal copper PHY.</summary>
    internal const uint LinkMode = 0x00c0_0000;

    /// <summary>Of RCTL: RXEN; BAM, broadcasts are received; SECRC, the frame check sequence is stripped. Buffers as SRRCTL says.</summary>
    internal const uint Receive = 0x0400_8002;

    /// <summary>Of RCTL: UPE and MPE, frames to other stations and groups are received too.</summary>
    internal const uint Promiscuous = 0x0000_0018;

    /// <summary>Of TCTL: EN; PSP, short frames are padded; CT 15; COLD 63; RTLC.</summary>
    internal const uint Transmit = 0x0103_f0fa;

    /// <summary>Of GPIE: Multiple_MSIX; EIAME, causes mask themselves; PBA support; NSICR, ICR clears when read.</summary>
    internal const uint MessagePerCause = 0xc000_0011;

    /// <summary>Of RAH: AV, the entry counts.</summary>
    internal const uint AddressValid = 0x8000_0000;

    /// <summary>PFMailbox: one for each virtual function.</summary>
    internal const long PhysicalMailbox = 0x00c00;

    /// <summary>MBVFICR: which virtual functions wrote a message, in bits 7:0, or read one, in bits 23:16.</summary>
    internal const long MailboxCause = 0x00c80;

    /// <summary>VFLRE: which virtual functions were reset.</summary>
    internal const long FunctionResets = 0x00c88;

    /// <summary>VFRE: which pools receive.</summary>
    internal const long PoolReceive = 0x00c8c;

    /// <summary>VFTE: which pools send.</summary>
    internal const long PoolTransmit = 0x00c90;

    /// <summary>QDE: which queues drop frames when they have no descriptor.</summary>
    internal const long QueueDrop = 0x02408;

    /// <summary>DTXSWC: what pools may send, and whether other pools receive it. Bits 7:0: only from an address of theirs.</summary>
    internal const long SwitchControl = 0x03500;

    /// <summary>VT_CTL: which pool is the default, and whether frames are copied.</summary>
    internal const long VirtualControl = 0x0581c;

    /// <summary>VMOLR: what a pool receives; one for each.</summary>
    internal const long VirtualOffloads = 0x05ad0;

    /// <summary>Of <see cref="ExtendedControl"/>: PFRSTD, the physical function's reset is over.</summary>
    internal const uint VirtualResetDone = 0x0000_4000;

    /// <summary>Of <see cref="MultipleQueues"/>: VMDq, the switch chooses the pool.</summary>
    internal const uint VirtualQueues = 3;

    /// <summary>Of <see cref="VirtualControl"/>: Rpl_En, frames to groups are copied to each pool that wants them.</summary>
    internal const uint Replicates = 0x4000_0000;

    /// <summary>Of <see cref="VirtualControl"/>: where the number of the default pool is.</summary>
    internal const int DefaultPoolShift = 7;

    /// <summary>Of <see cref="SwitchControl"/>: pools receive what other pools send.</summary>
    internal const uint LoopbackEnable = 0x8000_0000;

    /// <summary>Of <see cref="AddressHigh"/>: where the bits of the pools are that receive frames to the address.</summary>
    internal const int AddressPoolShift = 18;

    /// <summary>Of <see cref="VirtualOffloads"/>: the longest frame in bytes, with frame check sequence.</summary>
    internal const uint LengthMask = 0x3fff;

    /// <summary>Of <see cref="VirtualOffloads"/>: LPE, the longest frame is what <see cref="LengthMask"/> says.</summary>
    internal const uint LongFrames = 0x0001_0000;

    /// <summary>Of <see cref="VirtualOffloads"/>: ROMPE, frames to groups in <see cref="MulticastTable"/>.</summary>
    internal const uint ByGroupHash = 0x0200_0000;

    /// <summary>Of <see cref="VirtualOffloads"/>: ROPE, frames to stations in the table of unicast addresses.</summary>
    internal const uint ByStationHash = 0x0400_0000;

    /// <summary>Of <see cref="VirtualOffloads"/>: MPME, frames to all groups.</summary>
    internal const uint AllGroups = 0x1000_0000;

    /// <summary>Of <see cref="VirtualOffloads"/>: frames without tag (AUPE), broadcasts (BAM), no frame check sequence (STRCRC).</summary>
    internal const uint Plain = 0x8900_0000;

    /// <summary>Of <see cref="PhysicalMailbox"/>: STS, there is a message for the virtual function.</summary>
    internal const uint TellWritten = 0x01;

    /// <summary>Of <see cref="PhysicalMailbox"/>: ACK, its message was read.</summary>
    internal const uint TellRead = 0x02;

    /// <summary>Of <see cref="PhysicalMailbox"/>: PFU, the physical function has the memory.</summary>
    internal const uint PhysicalOwns = 0x08;
}
