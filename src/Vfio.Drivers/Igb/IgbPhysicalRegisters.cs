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
}
