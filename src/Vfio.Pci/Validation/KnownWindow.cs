namespace Vfio.Pci.Validation;

/// <summary>Registers of config space, outside of every capability, through which index and data reach all memory and registers of a device.
/// Config space does not tell: such devices are known by their ids.</summary>
/// <param name="Device">The devices, in words.</param>
/// <param name="Start">The first byte.</param>
/// <param name="End">Past the last byte.</param>
internal sealed record KnownWindow(string Device, int Start, int End)
{
    private const ushort Broadcom = 0x14e4;

    // Index and data of registers and of memory: tg3.h of Linux, TG3PCI_REG_BASE_ADDR to TG3PCI_MEM_WIN_DATA.
    private static readonly KnownWindow Tigon3 = new("Broadcom NetXtreme (tg3)", 0x78, 0x88);

    // By pci.ids: NetXtreme and NetLink, without NetXtreme II, C and E, which are other families.
    private static readonly HashSet<ushort> Tigon3Devices =
    [
        0x1600, 0x1601, 0x1641, 0x1642, 0x1643, 0x1644, 0x1645, 0x1646, 0x1647, 0x1648, 0x1649, 0x164d, 0x1653, 0x1654, 0x1655, 0x1656,
        0x1657, 0x1659, 0x165a, 0x165b, 0x165c, 0x165d, 0x165e, 0x165f, 0x1665, 0x1668, 0x1669, 0x166a, 0x166b, 0x1672, 0x1673, 0x1674,
        0x1677, 0x1678, 0x1679, 0x167a, 0x167b, 0x167d, 0x167e, 0x167f, 0x1680, 0x1681, 0x1682, 0x1683, 0x1684, 0x1686, 0x1687, 0x1688,
        0x1690, 0x1691, 0x1692, 0x1693, 0x1694, 0x1696, 0x1698, 0x1699, 0x169a, 0x169b, 0x169c, 0x169d, 0x16a0, 0x16a3, 0x16a6, 0x16a7,
        0x16a8, 0x16b0, 0x16b1, 0x16b2, 0x16b3, 0x16b4, 0x16b5, 0x16b6, 0x16b7, 0x16c6, 0x16c7, 0x16dd, 0x16f3, 0x16f7, 0x16fd, 0x16fe,
        0x170d, 0x170e, 0x1712, 0x1713, 0x4222,
    ];

    /// <summary>The window of a function; null when it is not known to have one.</summary>
    internal static KnownWindow? Find(ushort vendor, ushort device) =>
        vendor == Broadcom && Tigon3Devices.Contains(device) ? Tigon3 : null;

    /// <summary>What is wrong with it, in one line.</summary>
    internal string Problem => $"{Device}: index and data registers at 0x{Start:x} to 0x{End - 1:x} reach all of the device's memory";

    /// <summary>Whether a dword is part of it.</summary>
    internal bool Contains(int offset) => offset + 4 > Start && offset < End;
}
