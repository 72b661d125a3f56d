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
    private readonly bool[] _isLent;
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
        _isLent = new bool[count];
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

    /// <summary>The device's address of the first byte of a buffer.</summary>
    internal Iova AddressOf(int buffer) => _memory.Start + ((ulong)(uint)buffer * BufferBytes);

    /// <summary>Takes a buffer that belongs to nobody: for the device.</summary>
    /// <returns>False when there is none.</returns>
    internal bool TryTake(out int buffer)
    {
        int last = _freeCount - 1;
        if ((uint)last >= (uint)_free.Length)
        {
            buffer = 0;
            return false;
        }

        buffer = _free[last];
        _freeCount = last;
        return true;
    }

    /// <summary>Gives back a buffer of the device's: it belongs to nobody from now on.</summary>
    internal void Free(int buffer) => _free[_freeCount++] = buffer;

    /// <summary>A buffer of the device's, or of nobody's, belongs to the caller of the port from now on.</summary>
    internal void Lend(int buffer) => _isLent[buffer] = true;

    /// <summary>A buffer of the caller's belongs to the device, or to nobody, from now on.</summary>
    /// <returns>False when the caller does not own it.</returns>
    internal bool TryTakeBack(int buffer)
    {
        bool[] isLent = _isLent;
        if ((uint)buffer >= (uint)isLent.Length || !isLent[buffer])
            return false;
        isLent[buffer] = false;
        return true;
    }

    /// <summary>Says that the caller does not own a buffer.</summary>
    /// <exception cref="ArgumentException">Always.</exception>
    [DoesNotReturn]
    internal static void ThrowNotLent(int buffer) =>
        throw new ArgumentException($"buffer {buffer} is not the caller's: it was never received or taken, or is sent or returned already");

    private long Locate(int buffer, int offset, int count)
    {
        if ((uint)buffer >= (uint)_isLent.Length || (uint)offset > BufferBytes || count > BufferBytes - offset)
            ThrowBadRange(buffer, offset, count);
        return ((long)buffer * BufferBytes) + offset;
    }

    private void ThrowBadRange(int buffer, int offset, int count) => throw new ArgumentOutOfRangeException(
        nameof(offset), $"{count} bytes at {offset} of buffer {buffer}: there are {Count} buffers of {BufferBytes} bytes");
}
