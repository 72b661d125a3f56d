namespace Vfio;

/// <summary>A range of addresses where memory can be mapped for a device.</summary>
/// <param name="Start">First address.</param>
/// <param name="Length">How many bytes; not 0, and the range does not wrap.</param>
public readonly record struct IovaRange(Iova Start, ulong Length)
{
    /// <summary>The ranges when the provider reports none: what every IOMMU in use can translate.</summary>
    /// <remarks>39 bits, the narrowest address width of VT-d; without the first 64 KiB, so that an address of 0 stays
    /// a mistake; without 0xfee00000 to 0xfeefffff, where writes are interrupts on x86.</remarks>
    public static readonly IReadOnlyList<IovaRange> Default =
    [
        Between(0x1_0000, 0xfedf_ffff),
        Between(0xfef0_0000, 0x7f_ffff_ffff),
    ];

    /// <summary>Last address.</summary>
    public Iova Last => Start + (Length - 1);

    /// <summary>Makes a range from its first and last address, as the kernel reports them.</summary>
    public static IovaRange Between(ulong first, ulong last) => new(new Iova(first), checked(last - first + 1));
}
