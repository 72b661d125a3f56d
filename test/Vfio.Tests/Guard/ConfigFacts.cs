using static Vfio.Tests.Guard.UserBit;

namespace Vfio.Tests.Guard;

/// <summary>Which bits of config space a user may change, transcribed a second time: offsets and masks from the specifications of PCI and
/// PCI Express, and who may change what as Linux's <c>vfio_pci_config.c</c> has it. Nothing here knows the library's tables.</summary>
/// <remarks>Where it is stricter than Linux: reserved bits, bytes between capabilities and the status register are the owner's.</remarks>
internal static class ConfigFacts
{
    /// <summary>Header of type 0: PCI Local Bus 3.0, section 6.1.</summary>
    public static readonly BitFact[] Header =
    [
        new(0x00, 0xffff_ffff, OwnersCopy),                                                          // Vendor ID, Device ID
        new(0x04, 0x0000_0403, Copy), new(0x04, 0x0000_03fc, Users),                                 // Command
        new(0x04, 0x0010_0000, OwnersCopy), new(0x04, 0xf900_0000, OwnersStatus),                    // Status
        new(0x0c, 0x0000_ffff, Users), new(0x0c, 0x4f00_0000, Users),                                // Cache Line Size, Latency Timer, BIST
        new(0x10, 0xffff_ffff, Copy), new(0x14, 0xffff_ffff, Copy), new(0x18, 0xffff_ffff, Copy),    // BAR0 to BAR2
        new(0x1c, 0xffff_ffff, Copy), new(0x20, 0xffff_ffff, Copy), new(0x24, 0xffff_ffff, Copy),    // BAR3 to BAR5
        new(0x30, 0xffff_ffff, Copy),                                                                // Expansion ROM
        new(0x34, 0x0000_00ff, OwnersCopy),                                                          // Capabilities Pointer
        new(0x3c, 0x0000_00ff, Copy), new(0x3c, 0x0000_ff00, OwnersCopy),                            // Interrupt Line, Interrupt Pin
    ];

    /// <summary>Extended capabilities that a user does not see: L1 PM Substates, Precision Time Measurement, PASID, Data Object
    /// Exchange.</summary>
    public static readonly int[] Hidden = [0x1b, 0x1e, 0x1f, 0x2e];

    /// <summary>The bits of a capability that are not simply the owner's.</summary>
    public static IEnumerable<BitFact> Of(FactView view) => view.IsExtended
        ? Hidden.Contains(view.Id) ? Enumerable.Range(0, (LengthOf(view) + 3) / 4).Select(i => new BitFact(4 * i, 0xffff_ffff, OwnersCopy))
        : [new(0x00, 0xffff_ffff, OwnersCopy), .. Extended(view)]
        : [new(0x00, 0x0000_ff00, OwnersCopy), .. Standard(view)];

    /// <summary>Size of a capability with its header; 0 for a kind that no specification describes.</summary>
    public static int LengthOf(in FactView view) => view.IsExtended ? ExtendedLengths.Of(view) : StandardLengths.Of(view);

    private static IEnumerable<BitFact> Standard(FactView view) => view.Id switch
    {
        // Power Management 1.2, section 3.2.4: PME_Support, PowerState, Data_Select, PME_Status.
        0x01 => [new(0x00, 0xf800_0000, OwnersCopy), new(0x04, 0x0003, Copy), new(0x04, 0x1e00, Users), new(0x04, 0x8000, OwnersStatus)],
        // PCI 3.0, appendix I: the address; F set would start a write of the board's memory.
        0x03 => [new(0x00, 0x7fff_0000, Users), new(0x00, 0x8000_0000, OwnersStatus)],
        0x05 => Msi(view),
        // PICMG 2.1: EXT and INS.
        0x06 => [new(0x00, 0x00c0_0000, OwnersStatus)],
        // PCI-X 2.0a, section 7.2: command; discarded and unexpected completions, received error messages; ECC control.
        0x07 =>
        [
            new(0x00, 0x007f_0000, Users), new(0x04, 0x200c_0000, OwnersStatus),
            .. StandardLengths.PciXHasEcc(view) ? [new BitFact(0x08, 0xffff_ffff, Users)] : Array.Empty<BitFact>(),
        ],
        // PCI 3.0, appendix H: all that comes after the length is the vendor's.
        0x09 => Bytes(3, StandardLengths.Of(view)),
        0x10 => Express(view),
        // PCI 3.0, section 6.8.2.3: Function Mask and MSI-X Enable.
        0x11 => [new(0x00, 0xc000_0000, Copy)],
        // ECN "Advanced Capabilities for Conventional PCI": Initiate_FLR.
        0x13 => [new(0x04, 0x0001, Copy)],
        _ => [],
    };

    // PCI 3.0, section 6.8.1, and PCI Express Base 6.0, section 7.7.1: the whole of it is the user's to play with.
    private static IEnumerable<BitFact> Msi(FactView view)
    {
        ushort control = view.Read16(2);
        yield return new(0x00, 0x0471_0000, Copy);          // Enable, Multiple Message Enable, Extended Message Data Enable
        yield return new(0x00, 0x000e_0000, OwnersCopy);    // Multiple Message Capable
        yield return new(0x04, 0xffff_ffff, Copy);
        int data = (control & 0x80) != 0 ? 0x0c : 0x08;
        if (data == 0x0c)
            yield return new(0x08, 0xffff_ffff, Copy);
        bool hasMasks = (control & 0x100) != 0;
        yield return new(data, hasMasks ? 0xffff_ffff : 0xffff, Copy);
        if (!hasMasks)
            yield break;
        yield return new(data + 4, 0xffff_ffff, Copy);
        yield return new(data + 8, 0xffff_ffff, OwnersCopy);
    }

    // PCI Express Base 6.0, section 7.5.3. Linux keeps FLR, payload and read request sizes back, and lets no user near phantom
    // functions and ARI forwarding; nor does the guard near emergency power reduction, which is the component's; links, slots and roots belong to the machine.
    private static IEnumerable<BitFact> Express(FactView view)
    {
        int version = view.Read16(2) & 0xf;
        yield return new(0x08, 0x0000_0d1f, Users);
        yield return new(0x08, 0x0000_f0e0, Copy);
        yield return new(0x08, 0x004f_0000, UsersStatus);
        if (StandardLengths.ExpressHasLink(view))
            yield return new(0x10, 0xc000_0000, OwnersStatus);
        if (version < 2)
            yield break;
        yield return new(0x28, 0x0000_f7df, Users);
        if (StandardLengths.ExpressHasLink(view))
            yield return new(0x30, 0x8020_0000, OwnersStatus);
    }

    private static IEnumerable<BitFact> Extended(FactView view) => view.Id switch
    {
        // PCI Express Base 6.0, section 7.8.4: status, masks and severities of errors; ECRC generation and checking.
        0x01 =>
        [
            new(0x04, 0xffff_f030, UsersStatus), new(0x08, 0xffff_f030, Users), new(0x0c, 0xffff_f030, Users),
            new(0x10, 0x0000_f1c1, UsersStatus), new(0x14, 0x0000_f1c1, Users), new(0x18, 0x0000_0140, Users),
        ],
        // Section 7.8.1: Data Select.
        0x04 => [new(0x04, 0x0000_00ff, Users)],
        // Section 7.9.5: what comes after the header is the vendor's.
        0x0b => Bytes(8, ExtendedLengths.Of(view)),
        // Section 7.9.6: likewise, but for CXL's (vendor 1e98h), which decide on the machine's memory.
        0x23 when view.Read16(4) != 0x1e98 => Bytes(ExtendedLengths.Of(view) >= 12 ? 10 : 12, ExtendedLengths.Of(view)),
        _ => [],
    };

    private static IEnumerable<BitFact> Bytes(int start, int end)
    {
        for (int at = start; at < end; at++)
            yield return new(at & ~3, 0xffu << (8 * (at & 3)), Users);
    }
}
