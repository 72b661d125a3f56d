namespace Vfio;

/// <summary>Number of a region of a device.</summary>
/// <param name="Value">The number, as VFIO_PCI_*_REGION_INDEX of <c>linux/vfio.h</c> for PCI functions.</param>
public readonly record struct RegionIndex(uint Value)
{
    /// <summary>How many regions every PCI function has, the absent ones with size 0.</summary>
    public const int PciCount = 9;

    /// <summary>BAR0; the other BARs follow.</summary>
    public static readonly RegionIndex Bar0 = new(0);

    /// <summary>The expansion ROM.</summary>
    public static readonly RegionIndex Rom = new(6);

    /// <summary>Configuration space.</summary>
    public static readonly RegionIndex Config = new(7);

    /// <summary>Legacy VGA ranges.</summary>
    public static readonly RegionIndex Vga = new(8);

    /// <summary>Whether this is one of the six BARs.</summary>
    public bool IsBar => Value < 6;

    /// <summary>A BAR by its number.</summary>
    /// <param name="number">0 to 5.</param>
    public static RegionIndex Bar(int number)
    {
        return number is >= 0 and <= 5
            ? new((uint)number)
            : throw new ArgumentOutOfRangeException(nameof(number), number, "BARs are 0 to 5");
    }

    /// <summary><c>BAR0</c>, <c>ROM</c>, <c>config</c>, <c>VGA</c> or <c>region 9</c>.</summary>
    public override string ToString() => Value switch
    {
        < 6 => $"BAR{Value}",
        6 => "ROM",
        7 => "config",
        8 => "VGA",
        _ => $"region {Value}",
    };
}
