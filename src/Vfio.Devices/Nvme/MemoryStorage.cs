namespace Vfio.Devices.Nvme;

/// <summary>Blocks in memory, zero at first; memory is taken where something is written.</summary>
internal sealed class MemoryStorage(long length) : NvmeStorage
{
    private const int PieceBytes = 1 << 20;
    private readonly byte[]?[] _pieces = new byte[]?[(length + PieceBytes - 1) / PieceBytes];

    /// <inheritdoc/>
    internal override long Length => length;

    /// <inheritdoc/>
    internal override void Read(long offset, Span<byte> destination)
    {
        while (destination.Length > 0)
        {
            int inside = (int)(offset % PieceBytes);
            int count = Math.Min(destination.Length, PieceBytes - inside);
            if (_pieces[offset / PieceBytes] is { } piece)
                piece.AsSpan(inside, count).CopyTo(destination);
            else
                destination[..count].Clear();
            destination = destination[count..];
            offset += count;
        }
    }

    /// <inheritdoc/>
    internal override void Write(long offset, ReadOnlySpan<byte> source)
    {
        while (source.Length > 0)
        {
            int inside = (int)(offset % PieceBytes);
            int count = Math.Min(source.Length, PieceBytes - inside);
            byte[] piece = _pieces[offset / PieceBytes] ??= new byte[PieceBytes];
            source[..count].CopyTo(piece.AsSpan(inside));
            source = source[count..];
            offset += count;
        }
    }
}
