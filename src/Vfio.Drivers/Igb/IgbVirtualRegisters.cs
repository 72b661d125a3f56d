namespace Vfio.Drivers.Igb;

/// <summary>Registers in BAR0 that only a virtual function of an 82576 has, and what its mailbox holds.</summary>
/// <remarks>82576 Datasheet, section 8.28 and section 7.10.2.9 for the mailbox. What messages mean is an agreement between
/// drivers; this is the one of the igb driver of Linux.</remarks>
internal static class IgbVirtualRegisters
{
    /// <summary>VMBMEM: the mailbox's memory, 16 dwords that both functions see.</summary>
    internal const long MailboxMemory = 0x00800;

    /// <summary>V2PMailbox: who has the mailbox, and what was told.</summary>
    internal const long Mailbox = 0x00c40;

    /// <summary>First register of receive queue 0.</summary>
    internal const long ReceiveQueue = 0x02800;

    /// <summary>First register of transmit queue 0.</summary>
    internal const long TransmitQueue = 0x03800;

    /// <summary>Bytes of the longest frame on the wire: with VLAN tag and frame check sequence.</summary>
    internal const uint LongestOnWire = 1522;

    /// <summary>Dwords of <see cref="MailboxMemory"/>.</summary>
    internal const int MailboxDwords = 16;

    /// <summary>Of <see cref="Mailbox"/>: REQ, there is a message for the physical function.</summary>
    internal const uint Request = 0x01;

    /// <summary>Of <see cref="Mailbox"/>: ACK, its message was read.</summary>
    internal const uint Acknowledge = 0x02;

    /// <summary>Of <see cref="Mailbox"/>: VFU, the virtual function has the memory.</summary>
    internal const uint VirtualOwns = 0x04;

    /// <summary>Of <see cref="Mailbox"/>: PFSTS, the physical function wrote a message; cleared when read.</summary>
    internal const uint PhysicalWrote = 0x10;

    /// <summary>Of <see cref="Mailbox"/>: PFACK, the physical function read the message; cleared when read.</summary>
    internal const uint PhysicalRead = 0x20;

    /// <summary>Of <see cref="Mailbox"/>: RSTI, the physical function is being reset.</summary>
    internal const uint PhysicalResets = 0x40;

    /// <summary>Of <see cref="Mailbox"/>: RSTD, its reset is over; cleared when read.</summary>
    internal const uint PhysicalResetDone = 0x80;

    /// <summary>Message: start over. The reply brings the address.</summary>
    internal const uint ResetMessage = 0x01;

    /// <summary>Message: receive frames to this address.</summary>
    internal const uint SetAddressMessage = 0x02;

    /// <summary>Message: receive frames to groups with these hashes.</summary>
    internal const uint SetGroupsMessage = 0x03;

    /// <summary>Message: receive frames with this VLAN tag, or do not.</summary>
    internal const uint SetVlanMessage = 0x04;

    /// <summary>Message: receive frames up to this many bytes, with frame check sequence.</summary>
    internal const uint SetLongestMessage = 0x05;

    /// <summary>Message: be promiscuous. Of what bits 23:16 may ask for, Linux allows <see cref="PromiscuousGroups"/>.</summary>
    internal const uint SetPromiscuousMessage = 0x06;

    /// <summary>Of <see cref="SetPromiscuousMessage"/>: all groups.</summary>
    internal const uint PromiscuousGroups = 0x0002_0000;

    /// <summary>Message of the physical function's own: it is there.</summary>
    internal const uint ControlMessage = 0x0100;

    /// <summary>Of the first dword: which message.</summary>
    internal const uint MessageMask = 0xffff;

    /// <summary>Of the first dword of a reply: done.</summary>
    internal const uint Done = 0x8000_0000;

    /// <summary>Of the first dword of a reply: refused.</summary>
    internal const uint Refused = 0x4000_0000;

    /// <summary>Of the first dword of a reply: CTS, the reset handshake is over and further messages are heard.</summary>
    internal const uint ClearToSend = 0x2000_0000;
}
