using System.Numerics;
using Vfio.Native.Errors;

namespace Vfio;

/// <summary>The memory of one transfer in pieces, one after the other: parts of DMA buffers and blocks.</summary>
/// <remarks>
/// <para>To the driver it is one range of bytes, from 0 to <see cref="Length"/>; to the device a list of addresses and lengths, which
/// <see cref="GetSegments"/> gives in the form that the device takes: pages of NVMe's PRP lists, SGL entries, descriptors of a network
/// controller.</para>
/// <para>Buffers and blocks are the caller's, and stay until the transfer is over. One thread at a time; a list that was cleared is used again
/// without an allocation.</para>
/// </remarks>
public sealed class DmaScatterList
{
    private readonly List<Part> _parts = [];

    /// <summary>Size of all pieces in bytes.</summary>
    public long Length { get; private set; }

    /// <summary>Appends all of a buffer.</summary>
    public void Add(DmaBuffer buffer)
    {
        ArgumentNullException.ThrowIfNull(buffer);
        Add(buffer, 0, buffer.Length);
    }

    /// <summary>Appends part of a buffer.</summary>
    /// <param name="buffer">The buffer.</param>
    /// <param name="offset">Where the part starts in it, in bytes.</param>
    /// <param name="length">Its size in bytes; 0 adds nothing.</param>
    public void Add(DmaBuffer buffer, long offset, long length)
    {
        ArgumentNullException.ThrowIfNull(buffer);
        _ = buffer.AddressOf(offset);
        if (length < 0 || length > buffer.Length - offset)
            throw new ArgumentOutOfRangeException(nameof(length), length, $"0 to {buffer.Length - offset} bytes are behind that offset");
        if (length == 0)
            return;
        _parts.Add(new Part(buffer, offset, length));
        Length = checked(Length + length);
    }

    /// <summary>Appends all of a block.</summary>
    public void Add(DmaBlock block) => Add(block, 0, block.Length);

    /// <summary>Appends part of a block.</summary>
    /// <param name="block">The block.</param>
    /// <param name="offset">Where the part starts in it, in bytes.</param>
    /// <param name="length">Its size in bytes; 0 adds nothing.</param>
    public void Add(DmaBlock block, int offset, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        Add(block.Memory, block.Locate(offset, length), length);
    }

    /// <summary>Forgets all pieces.</summary>
    public void Clear()
    {
        _parts.Clear();
        Length = 0;
    }

    /// <summary>Copies bytes out, in no particular order or width.</summary>
    /// <param name="offset">Where they start, in bytes from the first piece on.</param>
    /// <param name="destination">Where they go.</param>
    public void Read(long offset, Span<byte> destination)
    {
        CheckRange(offset, destination.Length);
        foreach (Part part in _parts)
        {
            if (offset >= part.Length)
            {
                offset -= part.Length;
                continue;
            }

            int count = (int)Math.Min(destination.Length, part.Length - offset);
            part.Buffer.Read(part.Offset + offset, destination[..count]);
            destination = destination[count..];
            if (destination.IsEmpty)
                return;
            offset = 0;
        }
    }

    /// <summary>Copies bytes in, in no particular order or width.</summary>
    /// <param name="offset">Where they go, in bytes from the first piece on.</param>
    /// <param name="source">The bytes.</param>
    public void Write(long offset, ReadOnlySpan<byte> source)
    {
        CheckRange(offset, source.Length);
        foreach (Part part in _parts)
        {
            if (offset >= part.Length)
            {
                offset -= part.Length;
                continue;
            }

            int count = (int)Math.Min(source.Length, part.Length - offset);
            part.Buffer.Write(part.Offset + offset, source[..count]);
            source = source[count..];
            if (source.IsEmpty)
                return;
            offset = 0;
        }
    }

    /// <summary>The pieces as the device takes them, in order: what adjoins on the bus is one segment, unless a limit cuts it.</summary>
    /// <param name="segments">Where they go; empty to count them.</param>
    /// <param name="maxBytes">The longest segment that the device takes, in bytes, from 1.</param>
    /// <param name="boundaryBytes">No segment crosses a multiple of this, a power of two: 4096 for pages, such as PRP entries; 0 for no such
    /// limit.</param>
    /// <returns>How many there are; when that is more than <paramref name="segments"/> has room for, only the first are there.</returns>
    public int GetSegments(Span<DmaSegment> segments, long maxBytes = long.MaxValue, long boundaryBytes = 0)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxBytes, 1);
        if (boundaryBytes != 0 && (boundaryBytes < 0 || !BitOperations.IsPow2(boundaryBytes)))
            throw new ArgumentOutOfRangeException(nameof(boundaryBytes), boundaryBytes, "a power of two, or 0");
        int count = 0;
        DmaSegment last = default;
        foreach (Part part in _parts)
        {
            Iova start = part.Buffer.AddressOf(part.Offset);
            for (long left = part.Length; left > 0;)
            {
                long room = boundaryBytes == 0 ? long.MaxValue : boundaryBytes - (long)(start.Value & (ulong)(boundaryBytes - 1));
                bool adjoins = count > 0 && room != boundaryBytes && last.Length < maxBytes && last.End == start.Value;
                long bytes = Math.Min(Math.Min(left, room), adjoins ? maxBytes - last.Length : maxBytes);
                last = adjoins ? last with { Length = last.Length + bytes } : new DmaSegment(start, bytes);
                count += adjoins ? 0 : 1;
                if (count <= segments.Length)
                    segments[count - 1] = last;
                start += (ulong)bytes;
                left -= bytes;
            }
        }

        return count;
    }

    private void CheckRange(long offset, int count)
    {
        if (offset < 0 || offset > Length - count)
        {
            throw new ArgumentOutOfRangeException(
                nameof(offset), $"{count} bytes at 0x{offset:x} do not fit the 0x{Length:x} bytes of the list: {AllowedOffsets.For(count, Length)}");
        }
    }

    private readonly record struct Part(DmaBuffer Buffer, long Offset, long Length);
}

/// <summary>A piece of memory as a device sees it: an entry of a scatter list.</summary>
/// <param name="Start">The device's address of the first byte.</param>
/// <param name="Length">Size in bytes.</param>
public readonly record struct DmaSegment(Iova Start, long Length)
{
    /// <summary>The address behind the last byte; 0 where that does not fit 64 bits.</summary>
    internal ulong End => unchecked(Start.Value + (ulong)Length);
}
