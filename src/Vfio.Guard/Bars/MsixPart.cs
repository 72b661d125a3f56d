namespace Vfio.Guard.Bars;

/// <summary>The first part of a BAR access: bytes that all lie in the MSI-X table, or all in its pending bits, or all in neither.</summary>
/// <param name="Kind">Where the bytes lie.</param>
/// <param name="Offset">Offset into the table or the pending bits, in bytes; for <see cref="MsixPartKind.Other"/> into the BAR.</param>
/// <param name="Count">How many bytes.</param>
internal readonly record struct MsixPart(MsixPartKind Kind, ulong Offset, int Count)
{
    internal static MsixPart At(MsixDescription msix, RegionIndex region, ulong offset, int length)
    {
        ulong end = offset + (ulong)length;
        if (region.Value == (uint)msix.Bar && offset < msix.TableOffset + msix.TableLength)
        {
            if (offset >= msix.TableOffset)
                return new(MsixPartKind.Table, offset - msix.TableOffset, Until(msix.TableOffset + msix.TableLength));
            end = Math.Min(end, msix.TableOffset);
        }

        if (region.Value == (uint)msix.PendingBar && offset < msix.PendingOffset + msix.PendingLength)
        {
            if (offset >= msix.PendingOffset)
                return new(MsixPartKind.Pending, offset - msix.PendingOffset, Until(msix.PendingOffset + msix.PendingLength));
            end = Math.Min(end, msix.PendingOffset);
        }

        return new(MsixPartKind.Other, offset, (int)(end - offset));

        int Until(ulong limit) => (int)(Math.Min(end, limit) - offset);
    }
}

/// <summary>Where bytes of a BAR lie.</summary>
internal enum MsixPartKind
{
    /// <summary>In neither: the device's own bytes.</summary>
    Other,

    /// <summary>In the MSI-X table.</summary>
    Table,

    /// <summary>In the MSI-X pending bits.</summary>
    Pending,
}
