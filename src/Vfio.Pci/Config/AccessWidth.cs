namespace Vfio.Pci.Config;

/// <summary>Splits a range of bytes into accesses that a device can take.</summary>
internal static class AccessWidth
{
    /// <summary>The widest access that starts at an offset, is naturally aligned there, and stays inside what is left.</summary>
    /// <param name="offset">Where it starts, in bytes.</param>
    /// <param name="left">Bytes from there on; at least 1.</param>
    /// <param name="widest">The widest access that the device takes: 1, 2, 4 or 8 bytes.</param>
    /// <returns>1, 2, 4 or 8 bytes.</returns>
    internal static int Natural(ulong offset, int left, int widest)
    {
        int width = widest;
        while (width > left || (offset & (ulong)(width - 1)) != 0)
            width >>= 1;
        return width;
    }
}
