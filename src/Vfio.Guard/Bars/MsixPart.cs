namespace Vfio.Guard.Bars;

/// <summary>The head of a BAR access: the bytes that lie all in the MSI-X table, all in its pending bits, or all in neither.</summary>
/// <param name="Kind">In what.</param>
/// <param name="Offset">Where in it, in bytes; for <see cref="MsixPartKind.Other"/> where in the BAR.</param>
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

/// <summary>What a part of a BAR is to MSI-X.</summary>
internal enum MsixPartKind
{
    /// <summary>Nothing: the device's own.</summary>
    Other,

    /// <summary>The table.</summary>
    Table,

    /// <summary>The pending bits.</summary>
    Pending,
}
