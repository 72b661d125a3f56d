using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Vfio.Native.Memory;
using Vfio.Tracing.Format;

namespace Vfio.Tracing.Recording;

/// <summary>Events on their way from the threads that see them to the one that writes them: a ring of records, made once.</summary>
/// <remarks>Any thread may add; none waits for another, and none allocates. An event for which there is no room is dropped, and counted.
/// One
/// thread takes them, in the order in which their places were claimed.</remarks>
internal sealed class TraceRing
{
    internal const int MinRecords = 1 << 8, MaxRecords = 1 << 24;
    private readonly Slot[] _slots;
    private readonly int _mask;
    private Ends _ends;
    private long _taken;
    private byte[] _payload = new byte[64 * TraceRecord.Bytes];

    /// <summary>Makes an empty ring.</summary>
    /// <param name="records">How many records it has: a power of two.</param>
    internal TraceRing(int records)
    {
        _slots = new Slot[records];
        _mask = records - 1;
    }

    /// <summary>How many events were dropped by now.</summary>
    internal long Dropped => Volatile.Read(ref _ends.Dropped);

    /// <summary>How many events were taken by now.</summary>
    internal long Taken => Volatile.Read(ref _taken);

    /// <summary>The longest data that an event may have, so that several fit.</summary>
    internal int MaxPayloadBytes => Math.Min(_slots.Length / 4 * TraceRecord.Bytes, TraceRecord.MaxPayloadBytes);

    /// <summary>Adds an event.</summary>
    /// <param name="record">The event; how many records of data it has is set here.</param>
    /// <param name="payload">Its data, not longer than <see cref="MaxPayloadBytes"/>.</param>
    internal void Add(ref TraceRecord record, ReadOnlySpan<byte> payload)
    {
        int records = 1 + TraceRecord.RecordsFor(payload.Length);
        if (!TryClaim(records, out long at))
            return;
        record.PayloadRecords = (ushort)(records - 1);
        for (int i = 1; !payload.IsEmpty; i++)
        {
            Span<byte> bytes = Blittable.AsBytes(ref _slots[(at + i) & _mask].Record);
            int count = Math.Min(payload.Length, bytes.Length);
            payload[..count].CopyTo(bytes);
            bytes[count..].Clear();
            payload = payload[count..];
        }

        ref Slot slot = ref _slots[at & _mask];
        slot.Record = record;
        slot.Dropped = Volatile.Read(ref _ends.Dropped);

        // Who sees this number sees the event, and the data after it.
        Volatile.Write(ref slot.Published, at + 1);
    }

    /// <summary>Whether every event that was added before the call was taken.</summary>
    internal bool IsEmpty => Volatile.Read(ref _ends.Tail) == _ends.Head;

    /// <summary>Gives the events that are there now to a sink: no more, however fast others come.</summary>
    /// <param name="sink">Where they go to.</param>
    /// <param name="dropped">Called before an event with how many were dropped before it, and its time; null for nobody.</param>
    /// <returns>How many there were.</returns>
    internal int Take(ITraceSink sink, Action<long, ulong>? dropped)
    {
        long head = _ends.Head, end = Volatile.Read(ref _ends.Tail), known = 0;
        int count = 0;
        while (head < end)
        {
            ref Slot slot = ref _slots[head & _mask];
            if (Volatile.Read(ref slot.Published) != head + 1)
                break;
            int payload = slot.Record.PayloadRecords;
            if (dropped is not null && slot.Dropped > known)
                dropped(known = slot.Dropped, slot.Record.Time);
            sink.Write(slot.Record, payload == 0 ? default : Payload(head + 1, payload));
            head += 1 + payload;
            count++;

            // Room is given back in strides: each is a line of memory that the threads which add look at.
            if ((count & 63) == 0)
                Volatile.Write(ref _ends.Head, head);
        }

        Volatile.Write(ref _ends.Head, head);
        Volatile.Write(ref _taken, _taken + count);
        return count;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool TryClaim(int records, out long at)
    {
        at = Volatile.Read(ref _ends.Tail);
        while (at + records - Volatile.Read(ref _ends.Head) <= _slots.Length)
        {
            long seen = Interlocked.CompareExchange(ref _ends.Tail, at + records, at);
            if (seen == at)
                return true;
            at = seen;
        }

        Interlocked.Increment(ref _ends.Dropped);
        return false;
    }

    private ReadOnlySpan<byte> Payload(long from, int records)
    {
        if (_payload.Length < records * TraceRecord.Bytes)
            _payload = new byte[records * TraceRecord.Bytes];
        for (int i = 0; i < records; i++)
            Blittable.AsBytes(ref _slots[(from + i) & _mask].Record).CopyTo(_payload.AsSpan(i * TraceRecord.Bytes));
        return _payload.AsSpan(0, records * TraceRecord.Bytes);
    }

    private struct Slot
    {
        /// <summary>The number of the event that is in it, plus one.</summary>
        internal long Published;

        /// <summary>How many events were dropped before it.</summary>
        internal long Dropped;

        internal TraceRecord Record;
    }

    /// <summary>On lines of memory of their own: the threads which add write one, and who takes another.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 320)]
    private struct Ends
    {
        [FieldOffset(64)]
        internal long Tail;

        [FieldOffset(128)]
        internal long Head;

        [FieldOffset(192)]
        internal long Dropped;
    }
}
