namespace Vfio.Pci.Capabilities;

/// <summary>A capability without known registers: all there is to say of it are its bytes.</summary>
internal static class OpaqueCapability
{
    private const int RowBytes = 16;

    internal static void Describe(CapabilityText text)
    {
        Capability capability = text.Capability;
        if (capability.Table is null && !capability.IsExtended)
            text.Title = $"{capability.Name} [{text.Space.Read16(capability.Offset + 2):x4}]";
        text.Add($"Len={capability.LengthBytes} <?>");
        int end = capability.Offset + capability.LengthBytes;
        while (end > capability.Offset && text.Space.Read8(end - 1) == 0)
            end--;
        for (int row = capability.Offset; row < end; row += RowBytes)
            text.Add($"{row:x2}: {Hex(text.Space, row, Math.Min(row + RowBytes, end))}");
    }

    private static string Hex(ConfigSpace space, int start, int end) =>
        string.Join(' ', Enumerable.Range(start, end - start).Select(offset => $"{space.Read8(offset):x2}"));
}
