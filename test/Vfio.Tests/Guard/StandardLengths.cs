namespace Vfio.Tests.Guard;

/// <summary>Sizes of standard capabilities, in bytes with their headers.</summary>
internal static class StandardLengths
{
    public static int Of(FactView view) => view.Id switch
    {
        0x00 or 0x04 or 0x06 or 0x0a or 0x0b or 0x0e => 4,
        0x01 or 0x03 or 0x0c or 0x0d => 8,
        0x02 or 0x11 => 12,
        // PCI 3.0, section 6.8.1: 10, 14, 20 or 24.
        0x05 => ((view.Read16(2) & 0x80) != 0 ? 14 : 10) + ((view.Read16(2) & 0x100) != 0 ? 10 : 0),
        0x07 => PciXHasEcc(view) ? 24 : 8,
        0x08 => HyperTransport(view),
        0x09 => Math.Max(3, (int)view.Read8(2)),
        // AMD I/O Virtualization Technology 3.0, section 3.2: CapExt.
        0x0f => (view.Read16(2) & 0x1000) != 0 ? 24 : 20,
        0x10 => Express(view),
        // AHCI 1.3.1, section 2.4: with index and data here when the place is Fh.
        0x12 => (view.Read32(4) & 0xf) == 0xf ? 16 : 8,
        0x13 => 6,
        0x14 => EnhancedAllocation(view),
        0x15 => 0x24,
        _ => 0,
    };

    /// <summary>PCI-X 2.0a, section 7.2.2: versions 1 and 2 have ECC registers.</summary>
    public static bool PciXHasEcc(FactView view) => (view.Read16(2) >> 12 & 3) is 1 or 2;

    /// <summary>Integrated endpoints and event collectors have no link.</summary>
    public static bool ExpressHasLink(FactView view) => (view.Read16(2) >> 4 & 0xf) is not (9 or 10);

    // PCI Express Base 6.0, section 7.5.3, figure 7-18: what follows depends on version, port type and slot.
    private static int Express(FactView view)
    {
        ushort flags = view.Read16(2);
        int type = flags >> 4 & 0xf;
        bool hasSlot = (flags & 0x100) != 0 && type is 4 or 6 or 8;
        bool isSecond = (flags & 0xf) >= 2;
        int first = type is 4 or 10 ? 0x24 : hasSlot ? 0x1c : ExpressHasLink(view) ? 0x14 : 0x0c;
        return !isSecond ? first : hasSlot ? 0x3c : ExpressHasLink(view) ? 0x34 : 0x2c;
    }

    // HyperTransport 3.10, chapter 7, by the type in the command's upper bits.
    private static int HyperTransport(FactView view)
    {
        int command = view.Read16(2);
        return (command >> 13, command >> 11) switch
        {
            (0, _) => 28,
            (1, _) => 24,
            (_, 0x08) => 24,
            (_, 0x10) => 8,
            (_, 0x12 or 0x13 or 0x16 or 0x18) => 12,
            (_, 0x14) => (command >> 9 & 3) == 0 ? 12 + (8 * (command & 0xf)) : 16,
            (_, 0x15) => (command & 2) != 0 ? 4 : 12,
            (_, 0x17) => 16,
            _ => 4,
        };
    }

    // PCI Express Base 6.0, section 7.8.5: as many entries as counted, each with its own size.
    private static int EnhancedAllocation(FactView view)
    {
        int at = 4;
        for (int left = view.Read8(2) & 0x3f; left > 0 && view.Start + at < 256; left--)
            at += 4 + (4 * (view.Read8(at) & 7));
        return at;
    }
}
