namespace Vfio.Devices.Igb;

/// <summary>Frames that came from the wire and wait for the receive work: the receive packet buffer, of fixed size.</summary>
/// <remarks>Any thread puts frames in; one takes them out.</remarks>
internal sealed class IgbInbox
{
    private const int Bytes = 256 << 10, HeadBytes = sizeof(int), RouteShift = 16, LengthMask = 0xffff;
    private readonly object _lock = new();
    private readonly byte[] _ring = new byte[Bytes];
    private int _start;
    private int _used;
    private int _waiters;
    private int _epoch;

    /// <summary>Changes when it is cleared. Take it before it is decided that a frame is for here.</summary>
    internal int Epoch => Volatile.Read(ref _epoch);

    /// <summary>Puts a frame in.</summary>
    /// <param name="frame">At most <see cref="IgbCore.LongestFrame"/> bytes.</param>
    /// <param name="epoch">What <see cref="Epoch"/> was: if it is another now, the frame was for the user before, and is dropped.</param>
    /// <param name="route">What <see cref="Take"/> gives with it, below 65536: the pool that the switch chose, or 0.</param>
    /// <returns>False when there is no room for it now.</returns>
    internal bool TryPut(ReadOnlySpan<byte> frame, int epoch, int route = 0)
    {
        lock (_lock)
        {
            if (epoch != _epoch)
                return true;
            if (frame.Length + HeadBytes > Bytes - _used)
                return false;
            Span<byte> head = stackalloc byte[HeadBytes];
            BitConverter.TryWriteBytes(head, frame.Length | route << RouteShift);
            Append(head);
            Append(frame);
            return true;
        }
    }

    /// <summary>Waits for room: until half of it is free, so that not every frame is waited for.</summary>
    /// <param name="bytes">For a frame of this length.</param>
    /// <param name="timeout">How long at most.</param>
    internal void WaitForRoom(int bytes, TimeSpan timeout)
    {
        lock (_lock)
        {
            if (bytes + HeadBytes <= Bytes - _used)
                return;
            _waiters++;
            Monitor.Wait(_lock, timeout);
            _waiters--;
        }
    }

    /// <summary>Takes the oldest frame out.</summary>
    /// <param name="destination">At least as long as the longest frame.</param>
    /// <param name="route">What was put in with it.</param>
    /// <returns>Its length; -1 when there is none.</returns>
    internal int Take(Span<byte> destination, out int route)
    {
        lock (_lock)
        {
            route = 0;
            if (_used == 0)
                return -1;
            Span<byte> head = stackalloc byte[HeadBytes];
            Remove(head);
            int value = BitConverter.ToInt32(head);
            int length = value & LengthMask;
            route = value >> RouteShift;
            Remove(destination[..length]);
            if (_waiters > 0 && _used <= Bytes / 2)
                Monitor.PulseAll(_lock);
            return length;
        }
    }

    /// <summary>Drops all frames.</summary>
    internal void Clear()
    {
        lock (_lock)
        {
            _start = _used = 0;
            _epoch++;
            Monitor.PulseAll(_lock);
        }
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        int at = (_start + _used) % Bytes;
        int first = Math.Min(bytes.Length, Bytes - at);
        bytes[..first].CopyTo(_ring.AsSpan(at));
        bytes[first..].CopyTo(_ring);
        _used += bytes.Length;
    }

    private void Remove(Span<byte> bytes)
    {
        int first = Math.Min(bytes.Length, Bytes - _start);
        _ring.AsSpan(_start, first).CopyTo(bytes);
        _ring.AsSpan(0, bytes.Length - first).CopyTo(bytes[first..]);
        _start = (_start + bytes.Length) % Bytes;
        _used -= bytes.Length;
    }
}
