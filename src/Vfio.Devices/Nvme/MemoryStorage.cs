namespace Vfio.Devices.Nvme;

/// <summary>Blocks in memory, zero at first; memory is taken where something is written.</summary>
internal sealed class MemoryStorage(long length) : NvmeStorage
{
    private const int PieceBytes = 1 << 20;
    private readonly byte[]?[] _pieces = new byte[]?[(length + PieceBytes - 1) / PieceBytes];

    /// <inheritdoc/>
    internal override long Length => length;

    /// <inheritdoc/>
    internal override bool MayWait => false;

    /// <inheritdoc/>
    internal override Errno Read(long offset, Span<byte> destination)
    {
        while (destination.Length > 0)
        {
            int inside = (int)(offset % PieceBytes);
            int count = Math.Min(destination.Length, PieceBytes - inside);
            if (Volatile.Read(ref _pieces[offset / PieceBytes]) is { } piece)
                piece.AsSpan(inside, count).CopyTo(destination);
            else
                destination[..count].Clear();
            destination = destination[count..];
            offset += count;
        }

        return Errno.None;
    }

    /// <inheritdoc/>
    internal override Errno Write(long offset, ReadOnlySpan<byte> source)
    {
        while (source.Length > 0)
        {
            int inside = (int)(offset % PieceBytes);
            int count = Math.Min(source.Length, PieceBytes - inside);
            if (FindOrAdd(ref _pieces[offset / PieceBytes]) is not { } piece)
                return Errno.NoMemory;
            source[..count].CopyTo(piece.AsSpan(inside));
            source = source[count..];
            offset += count;
        }

        return Errno.None;
    }

    /// <inheritdoc/>
    internal override Errno Zero(long offset, long length, bool isDiscarded)
    {
        while (length > 0)
        {
            int inside = (int)(offset % PieceBytes);
            int count = (int)Math.Min(length, PieceBytes - inside);
            ref byte[]? piece = ref _pieces[offset / PieceBytes];
            if (isDiscarded && count == PieceBytes)
                Volatile.Write(ref piece, null);
            else
                Volatile.Read(ref piece)?.AsSpan(inside, count).Clear();
            offset += count;
            length -= count;
        }

        return Errno.None;
    }

    private static byte[]? FindOrAdd(ref byte[]? place)
    {
        if (Volatile.Read(ref place) is { } piece)
            return piece;
        try
        {
            // Two queues may be the first to write here.
            byte[] added = new byte[PieceBytes];
            return Interlocked.CompareExchange(ref place, added, null) ?? added;
        }
        catch (OutOfMemoryException)
        {
            return null;
        }
    }
}
