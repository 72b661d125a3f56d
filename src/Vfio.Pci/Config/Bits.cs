namespace Vfio.Pci.Config;

/// <summary>Bit ranges of registers; the only place that shifts.</summary>
internal static class Bits
{
    /// <summary>Mask of the bits <paramref name="high"/> to <paramref name="low"/>, both included.</summary>
    public static uint Mask(int high, int low) => (uint)((1UL << (high + 1)) - (1UL << low));

    /// <summary>The bits <paramref name="high"/> to <paramref name="low"/> of a value, moved down to bit 0.</summary>
    public static uint Get(this uint value, int high, int low) => (value & Mask(high, low)) >> low;

    /// <summary>One bit of a value.</summary>
    public static bool Get(this uint value, int bit) => (value >> bit & 1) != 0;

    /// <summary>A value with the bits <paramref name="high"/> to <paramref name="low"/> replaced.</summary>
    public static uint With(this uint value, int high, int low, uint field) =>
        (value & ~Mask(high, low)) | (field << low & Mask(high, low));
}
