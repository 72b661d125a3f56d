using System.Buffers.Binary;
using Vfio.Guard;
using Vfio.Guard.Emulation;

namespace Vfio.Devices.Igb;

/// <summary>Which frames are received, by their destination, their VLAN and their length.</summary>
/// <remarks>82576 Datasheet, section 7.1.2.</remarks>
internal sealed class IgbFilter(RegisterFile<IgbRegister> registers)
{
    private const uint UnicastPromiscuous = 1u << 3, MulticastPromiscuous = 1u << 4, LongFrames = 1u << 5, Broadcasts = 1u << 15,
        VlanFilter = 1u << 18, Valid = 1u << 31;

    private const int CheckBytes = 4, LongestUntagged = 1518, LongestTagged = 1522, VlanBytes = 4;

    private readonly RegisterCell _control = registers.CellOf(IgbRegister.ReceiveControl);
    private readonly RegisterCell _vlanType = registers.CellOf(IgbRegister.VlanType);
    private readonly RegisterCell[] _lows = CellsOf(registers, IgbRegister.AddressLow, IgbRegister.AddressLowMore);
    private readonly RegisterCell[] _highs = CellsOf(registers, IgbRegister.AddressHigh, IgbRegister.AddressHighMore);

    internal static bool IsMulticast(ReadOnlySpan<byte> frame) => (frame[0] & 1) != 0;

    internal static bool IsBroadcast(ReadOnlySpan<byte> frame) => !frame[..6].ContainsAnyExcept(byte.MaxValue);

    /// <summary>Whether the hash of a frame's destination is in a table: 12 bits of its last two octets; which of their 16, RCTL.MO
    /// says.</summary>
    /// <param name="registers">The port's.</param>
    /// <param name="table">Which table, of multicast or of unicast addresses.</param>
    /// <param name="frame">The frame.</param>
    /// <param name="control">RCTL.</param>
    internal static bool IsHashed(RegisterFile<IgbRegister> registers, IgbRegister table, ReadOnlySpan<byte> frame, uint control)
    {
        ReadOnlySpan<int> shifts = [4, 3, 2, 0];
        int hash = (BinaryPrimitives.ReadUInt16LittleEndian(frame[4..]) >> shifts[(int)(control >> 12 & 3)]) & 0xfff;
        return (registers[table, hash >> 5] >> (hash & 31) & 1) != 0;
    }

    /// <summary>The registers of all station addresses, which are in two tables.</summary>
    internal static RegisterCell[] CellsOf(RegisterFile<IgbRegister> registers, IgbRegister first, IgbRegister more) =>
    [
        .. Enumerable.Range(0, IgbRegisters.FirstAddresses).Select(i => registers.CellOf(first, i)),
        .. Enumerable.Range(0, IgbRegisters.Addresses - IgbRegisters.FirstAddresses).Select(i => registers.CellOf(more, i)),
    ];

    /// <summary>Whether a frame has a VLAN tag of the type that VET names.</summary>
    internal bool IsTagged(ReadOnlySpan<byte> frame) =>
        BinaryPrimitives.ReadUInt16BigEndian(frame[12..]) == (ushort)_vlanType.Value;

    /// <summary>Whether a frame is longer than may be received.</summary>
    internal bool IsTooLong(ReadOnlySpan<byte> frame)
    {
        int bytes = frame.Length + CheckBytes;
        if ((_control.Value & LongFrames) == 0)
            return bytes > (IsTagged(frame) ? LongestTagged : LongestUntagged);
        return bytes > (int)registers[IgbRegister.LongestFrame] + (IsTagged(frame) ? VlanBytes : 0);
    }

    /// <summary>Whether a frame is for this station.</summary>
    internal bool Passes(ReadOnlySpan<byte> frame)
    {
        uint control = (uint)_control.Value;
        return PassesVlan(frame, control) && (IsMulticast(frame) ? PassesGroup(frame, control) : PassesStation(frame, control));
    }

    private bool PassesVlan(ReadOnlySpan<byte> frame, uint control)
    {
        if ((control & VlanFilter) == 0 || !IsTagged(frame))
            return true;
        int vlan = BinaryPrimitives.ReadUInt16BigEndian(frame[14..]) & 0xfff;
        return (registers[IgbRegister.VlanTable, vlan >> 5] >> (vlan & 31) & 1) != 0;
    }

    private bool PassesGroup(ReadOnlySpan<byte> frame, uint control)
    {
        if ((control & MulticastPromiscuous) != 0)
            return true;
        if (IsBroadcast(frame))
            return (control & Broadcasts) != 0;
        return IsListed(frame) || IsHashed(registers, IgbRegister.MulticastTable, frame, control);
    }

    private bool PassesStation(ReadOnlySpan<byte> frame, uint control) => (control & UnicastPromiscuous) != 0 || IsListed(frame);

    private bool IsListed(ReadOnlySpan<byte> frame)
    {
        uint low = BinaryPrimitives.ReadUInt32LittleEndian(frame);
        uint high = BinaryPrimitives.ReadUInt16LittleEndian(frame[4..]);
        for (int i = 0; i < IgbRegisters.Addresses; i++)
        {
            uint entry = (uint)_highs[i].Value;
            if ((entry & Valid) != 0 && (entry & 0xffff) == high && (uint)_lows[i].Value == low)
                return true;
        }

        return false;
    }
}
