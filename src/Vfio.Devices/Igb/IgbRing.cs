using System.Buffers.Binary;
using Vfio.Guard;
using Vfio.Guard.Emulation;

namespace Vfio.Devices.Igb;

/// <summary>A ring of descriptors in the driver's memory: where it is, how far it is done, and the next of it.</summary>
/// <remarks>
/// <para>82576 Datasheet, section 7.1 and 7.2: the rings of receive and transmit queues are alike. Several descriptors are read at once, and
/// each of them once. A ring that memory refuses stops.</para>
/// <para>By the thread of its queue.</para>
/// </remarks>
/// <param name="control">RXDCTL or TXDCTL: whether the queue is enabled.</param>
/// <param name="bytes">Its length.</param>
/// <param name="head">The descriptor that is next.</param>
/// <param name="tail">The first that is not the device's.</param>
/// <param name="baseLow">Where it is.</param>
/// <param name="baseHigh">The high half of that.</param>
internal sealed class IgbRing(RegisterCell control, RegisterCell bytes, RegisterCell head, RegisterCell tail, RegisterCell baseLow, RegisterCell baseHigh)
{
    private const int DescriptorBytes = 16, Fetched = 16;
    private const uint QueueEnable = 1u << 25;
    private readonly byte[] _fetched = new byte[Fetched * DescriptorBytes];
    private int _fetchedAt, _fetchedCount;
    private bool _isStopped;
    private volatile bool _isRestarted;

    /// <summary>Whether its queue is enabled, and it has descriptors and has not stopped.</summary>
    internal bool IsEnabled => !_isStopped && (control.Value & QueueEnable) != 0 && Count > 0;

    /// <summary>How many descriptors it has.</summary>
    internal int Count => (int)(bytes.Value / DescriptorBytes);

    /// <summary>The descriptor that is next; the driver may have written any number.</summary>
    internal int Head => (int)head.Value;

    /// <summary>The first descriptor that is not the device's; the driver may have written any number.</summary>
    internal int Tail => (int)tail.Value;

    /// <summary>Has it begin anew; any thread.</summary>
    internal void Restart() => _isRestarted = true;

    /// <summary>Begins anew if it is to: what was read is forgotten, and a stop is over.</summary>
    /// <returns>Whether it was to.</returns>
    internal bool TakeRestart()
    {
        if (!_isRestarted)
            return false;
        _isRestarted = false;
        _fetchedCount = 0;
        _isStopped = false;
        return true;
    }

    /// <summary>The descriptor at the head.</summary>
    /// <param name="memory">The driver's.</param>
    /// <param name="at">The head, below <paramref name="count"/>.</param>
    /// <param name="end">The tail.</param>
    /// <param name="count">How many the ring has.</param>
    /// <param name="first">Its first eight bytes.</param>
    /// <param name="second">Its last eight bytes.</param>
    /// <returns>False when memory refused it: the ring has stopped.</returns>
    internal bool TryFetch(IgbMemory memory, int at, int end, int count, out ulong first, out ulong second)
    {
        int place = at - _fetchedAt;
        if (place < 0 || place >= _fetchedCount)
        {
            _fetchedAt = at;
            _fetchedCount = Math.Clamp((end > at ? end : count) - at, 1, Fetched);
            if (memory.Read(At(at), _fetched.AsSpan(0, _fetchedCount * DescriptorBytes)) != Errno.None)
            {
                _fetchedCount = 0;
                _isStopped = true;
                first = second = 0;
                return false;
            }

            place = 0;
        }

        ReadOnlySpan<byte> descriptor = _fetched.AsSpan(place * DescriptorBytes, DescriptorBytes);
        first = BinaryPrimitives.ReadUInt64LittleEndian(descriptor);
        second = BinaryPrimitives.ReadUInt64LittleEndian(descriptor[8..]);
        if (place == _fetchedCount - 1)
            _fetchedCount = 0;
        return true;
    }

    /// <summary>The descriptor at the head is done.</summary>
    /// <returns>The new head.</returns>
    internal int Advance(int at, int count)
    {
        int next = at + 1 == count ? 0 : at + 1;
        head.Set((ulong)next);
        return next;
    }

    /// <summary>Where a descriptor is.</summary>
    /// <remarks>A base at the end of the address space wraps: memory refuses what does not fit there.</remarks>
    /// <param name="index">Which.</param>
    /// <param name="offset">Bytes into it.</param>
    internal Iova At(int index, int offset = 0) =>
        new(unchecked((baseHigh.Value << 32 | baseLow.Value) + ((ulong)index * DescriptorBytes) + (ulong)offset));
}
