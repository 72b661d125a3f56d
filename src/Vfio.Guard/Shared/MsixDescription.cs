namespace Vfio.Guard;

/// <summary>An MSI-X capability: how many vectors, and where its table and its pending bits are.</summary>
/// <param name="Vectors">1 to 2048.</param>
/// <param name="Bar">The BAR that holds the table, and the pending bits unless <see cref="PendingBar"/> says otherwise.</param>
/// <param name="TableOffset">Where in the BAR the table starts, in bytes; a multiple of 8. It takes 16 bytes a vector.</param>
/// <param name="PendingOffset">Where the pending bits start, in bytes; a multiple of 8. They take 8 bytes for 64 vectors.</param>
/// <remarks>PCI Local Bus 3.0, section 6.8.2. Table and pending bits lie over the content of a BAR that is added. When no BAR of that
/// number is added, the function makes one with nothing else in it. A user cannot map pages that hold either, so keep them apart
/// from registers that are to be mapped.</remarks>
public sealed record MsixDescription(int Vectors, int Bar, uint TableOffset = 0, uint PendingOffset = 0x8000)
{
    /// <summary>The BAR that holds the pending bits.</summary>
    public int PendingBar { get; init; } = Bar;

    /// <summary>Size of the table in bytes.</summary>
    public ulong TableLength => (ulong)Vectors * 16;

    /// <summary>Size of the pending bits in bytes.</summary>
    public ulong PendingLength => (ulong)(Vectors + 63) / 64 * 8;
}
