using System.Runtime.InteropServices;
using Vfio.Captures;
using Vfio.Native.Memory;

namespace Vfio.User.Captures;

/// <summary>Packets on their way from the threads of sessions to the one that writes them: a ring of bytes, made once.</summary>
/// <remarks>A thread that adds copies, and waits for no more than the copy of another one. What does not fit is dropped, and counted. One
/// thread takes.</remarks>
internal sealed class CaptureQueue
{
    private readonly Lock _adding = new();
    private readonly byte[] _ring;
    private readonly CaptureClock _clock;
    private long _added;
    private long _taken;
    private long _packets;
    private long _dropped;
    private volatile bool _isClosed;

    /// <summary>Makes an empty one.</summary>
    /// <param name="bytes">How many bytes it holds: a power of two.</param>
    /// <param name="clock">The time of the packets.</param>
    internal CaptureQueue(int bytes, CaptureClock clock)
    {
        _ring = GC.AllocateUninitializedArray<byte>(bytes);
        _clock = clock;
    }

    /// <summary>Packets that were to be added, those that were dropped too.</summary>
    internal long Packets => Interlocked.Read(ref _packets);

    /// <summary>Packets that found no space.</summary>
    internal long Dropped => Interlocked.Read(ref _dropped);

    /// <summary>Takes no more: what is added from now on is forgotten.</summary>
    internal void Close() => _isClosed = true;

    /// <summary>Adds a packet of three parts; its time is now. Any thread.</summary>
    /// <param name="originalLength">Bytes that it had before it was cut.</param>
    /// <param name="flags">Passed along.</param>
    /// <param name="first">The first part.</param>
    /// <param name="second">The second.</param>
    /// <param name="third">The third.</param>
    internal void Add(int originalLength, uint flags, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, ReadOnlySpan<byte> third)
    {
        if (_isClosed)
            return;
        int length = first.Length + second.Length + third.Length;
        lock (_adding)
        {
            _packets++;
            int needed = Blittable.SizeOf<Head>() + length;
            long at = _added;
            if (needed > _ring.Length - (at - Volatile.Read(ref _taken)))
            {
                _dropped++;
                return;
            }

            Head head = new() { Length = length, OriginalLength = originalLength, Time = _clock.Now, Flags = flags };
            Copy(Blittable.AsBytes(ref head), ref at);
            Copy(first, ref at);
            Copy(second, ref at);
            Copy(third, ref at);
            Volatile.Write(ref _added, at);
        }
    }

    /// <summary>Takes the oldest packet.</summary>
    /// <param name="into">Receives its bytes; long enough for the longest.</param>
    /// <param name="head">What it is.</param>
    /// <returns>False when there is none.</returns>
    internal bool TryTake(Span<byte> into, out Head head)
    {
        head = default;
        long at = _taken;
        if (at == Volatile.Read(ref _added))
            return false;
        CopyOut(Blittable.AsBytes(ref head), ref at);
        CopyOut(into[..head.Length], ref at);
        Volatile.Write(ref _taken, at);
        return true;
    }

    private void Copy(ReadOnlySpan<byte> bytes, ref long at)
    {
        int start = (int)(at & (_ring.Length - 1));
        int count = Math.Min(bytes.Length, _ring.Length - start);
        bytes[..count].CopyTo(_ring.AsSpan(start));
        bytes[count..].CopyTo(_ring);
        at += bytes.Length;
    }

    private void CopyOut(Span<byte> bytes, ref long at)
    {
        int start = (int)(at & (_ring.Length - 1));
        int count = Math.Min(bytes.Length, _ring.Length - start);
        _ring.AsSpan(start, count).CopyTo(bytes);
        _ring.AsSpan(0, bytes.Length - count).CopyTo(bytes[count..]);
        at += bytes.Length;
    }

    /// <summary>What precedes the bytes of a packet.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Head
    {
        /// <summary>Nanoseconds since 1970-01-01 UTC.</summary>
        public ulong Time;

        /// <summary>Bytes that are there.</summary>
        public int Length;

        /// <summary>Bytes that there were.</summary>
        public int OriginalLength;

        /// <summary>The option <c>epb_flags</c> of pcapng.</summary>
        public uint Flags;
    }
}
