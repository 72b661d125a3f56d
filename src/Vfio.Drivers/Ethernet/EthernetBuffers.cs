using System.Diagnostics.CodeAnalysis;
using Vfio.Native;

namespace Vfio.Drivers.Ethernet;

/// <summary>The memory that a port's frames are in: buffers of one size, which the device reads and writes.</summary>
/// <remarks>Bytes are copied in and out. Who owns a buffer is the port's matter: touch only frames that you own, for the device may be
/// reading or writing the others. Nothing is allocated once it is made. One thread at a time.</remarks>
public sealed class EthernetBuffers : IDisposable
{
    /// <summary>Bytes of a buffer: more than any frame that is not a jumbo.</summary>
    public const int BufferBytes = 2048;

    private readonly DmaBuffer _memory;
    private readonly int[] _free;
    private readonly bool[] _isAssigned;
    private int _freeCount;

    /// <summary>Makes buffers, all of them free.</summary>
    /// <param name="device">Whose memory it is.</param>
    /// <param name="count">How many, from 1.</param>
    /// <exception cref="VfioException">ENOMEM: a limit; ENOSPC: no addresses left.</exception>
    public EthernetBuffers(PciDevice device, int count)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        _memory = device.AllocateDma((long)count * BufferBytes);
        _free = [.. Enumerable.Range(0, count).Reverse()];
        _isAssigned = new bool[count];
        _freeCount = count;
    }

    /// <summary>How many there are.</summary>
    public int Count => _free.Length;

    /// <summary>How many belong to nobody.</summary>
    public int FreeCount => _freeCount;

    /// <summary>Copies a part of a frame out.</summary>
    /// <param name="frame">One that the caller owns.</param>
    /// <param name="offset">Where the part starts in the frame, in bytes.</param>
    /// <param name="destination">Where it goes; no longer than the rest of the buffer.</param>
    public void Read(EthernetFrame frame, int offset, Span<byte> destination) =>
        _memory.Read(Locate(frame.Buffer, offset, destination.Length), destination);

    /// <summary>Copies a whole frame out.</summary>
    /// <param name="frame">One that the caller owns.</param>
    /// <param name="destination">At least as long as the frame.</param>
    /// <returns>The part of <paramref name="destination"/> that is the frame.</returns>
    public Span<byte> Read(EthernetFrame frame, Span<byte> destination)
    {
        Span<byte> bytes = destination[..frame.Length];
        Read(frame, 0, bytes);
        return bytes;
    }

    /// <summary>Copies a part of a frame in.</summary>
    /// <param name="frame">One that the caller owns; its length does not matter here.</param>
    /// <param name="offset">Where the part starts in the frame, in bytes.</param>
    /// <param name="source">No longer than the rest of the buffer.</param>
    public void Write(EthernetFrame frame, int offset, ReadOnlySpan<byte> source) =>
        _memory.Write(Locate(frame.Buffer, offset, source.Length), source);

    /// <inheritdoc/>
    public void Dispose() => _memory.Dispose();

    /// <summary>The device's address of buffer 0; the others follow.</summary>
    internal Iova Start => _memory.Start;

    /// <summary>Of each buffer, whether the caller of the port owns it.</summary>
    internal bool[] IsAssigned => _isAssigned;

    /// <summary>Takes buffers that belong to nobody: for the device.</summary>
    /// <returns>How many there were, from the first place on.</returns>
    internal int Take(Span<int> buffers)
    {
        int count = Math.Min(buffers.Length, _freeCount);
        _freeCount -= count;
        _free.AsSpan(_freeCount, count).CopyTo(buffers);
        return count;
    }

    /// <summary>Gives back buffers of the device's: they belong to nobody from now on.</summary>
    internal void Free(ReadOnlySpan<int> buffers)
    {
        buffers.CopyTo(_free.AsSpan(_freeCount));
        _freeCount += buffers.Length;
    }

    /// <summary>Gives buffers that belong to nobody to the caller.</summary>
    /// <returns>How many there were.</returns>
    internal int Take(Span<EthernetFrame> frames)
    {
        int count = Math.Min(frames.Length, _freeCount);
        bool[] isAssigned = _isAssigned;
        ReadOnlySpan<int> buffers = _free.AsSpan(_freeCount - count, count);
        for (int i = 0; i < buffers.Length; i++)
        {
            int buffer = buffers[i];
            isAssigned[buffer] = true;
            frames[i] = new EthernetFrame(buffer, 0);
        }

        _freeCount -= count;
        return count;
    }

    /// <summary>Takes buffers back from the caller: they belong to nobody from now on.</summary>
    /// <exception cref="ArgumentException">One is not the caller's; those before it are taken back.</exception>
    internal void TakeBack(ReadOnlySpan<EthernetFrame> frames)
    {
        bool[] isAssigned = _isAssigned;
        int[] free = _free;
        int freeCount = _freeCount;
        foreach (EthernetFrame frame in frames)
        {
            int buffer = frame.Buffer;
            if ((uint)buffer >= (uint)isAssigned.Length || !isAssigned[buffer])
            {
                _freeCount = freeCount;
                ThrowNotAssigned(buffer);
            }

            isAssigned[buffer] = false;
            free[freeCount++] = buffer;
        }

        _freeCount = freeCount;
    }

    /// <summary>Says that the caller does not own a buffer.</summary>
    /// <exception cref="ArgumentException">Always.</exception>
    [DoesNotReturn]
    internal static void ThrowNotAssigned(int buffer) =>
        throw new ArgumentException($"buffer {buffer} is not the caller's: it was never received or taken, or is sent or returned already");

    private long Locate(int buffer, int offset, int count)
    {
        if ((uint)buffer >= (uint)_isAssigned.Length || (uint)offset > BufferBytes || count > BufferBytes - offset)
            ThrowBadRange(buffer, offset, count);
        return ((long)buffer * BufferBytes) + offset;
    }

    private void ThrowBadRange(int buffer, int offset, int count) => throw new ArgumentOutOfRangeException(
        nameof(offset), $"{count} bytes at {offset} of buffer {buffer}: there are {Count} buffers of {BufferBytes} bytes");
}
