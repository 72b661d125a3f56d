using Vfio.Tracing;

namespace Vfio.Web.Events;

/// <summary>The DMA address space of a traced device: what is mapped, how often the device touched it, and what was refused.</summary>
/// <remarks>One thread adds, any reads; memory is bounded whatever the trace has.</remarks>
internal sealed class DmaSpace
{
    /// <summary>More mappings than these at a time are not told apart.</summary>
    internal const int MostMapped = 4096;

    private const int MostEnded = 256, MostRefused = 256;
    private readonly Lock _lock = new();
    private readonly Dictionary<int, SortedList<ulong, DmaUse>> _mapped = [];
    private readonly Queue<DmaUse> _ended = [];
    private readonly Dictionary<(TraceEventKind Kind, ulong Place), DmaRefusal> _refused = [];
    private int _count;

    /// <summary>How many refusals there were, those too that are not kept one by one.</summary>
    internal long Refusals { get; private set; }

    /// <summary>Learns from an event.</summary>
    internal void Add(in TraceEvent one)
    {
        lock (_lock)
        {
            switch (one.Kind)
            {
                case TraceEventKind.Map:
                    Map(one);
                    break;
                case TraceEventKind.Unmap:
                    Unmap(one.Session, one.Place, one.Value, one.Nanoseconds);
                    break;
                case TraceEventKind.UnmapAll or TraceEventKind.Close:
                    Unmap(one.Session, 0, ulong.MaxValue, one.Nanoseconds);
                    break;
                case TraceEventKind.DmaRead or TraceEventKind.DmaWrite when one.Error == Errno.None:
                    Find(one.Session, one.Place)?.Touch(one);
                    break;
                case TraceEventKind.DmaRead or TraceEventKind.DmaWrite:
                    Refuse(one.Kind, one);
                    break;
                case TraceEventKind.Error when IsOfMemory((TraceEventKind)one.Value):
                    if ((TraceEventKind)one.Value == TraceEventKind.Map)
                        Forget(one.Session, one.Place);
                    Refuse((TraceEventKind)one.Value, one);
                    break;
                default:
                    break;
            }
        }
    }

    /// <summary>What is mapped by address; what was mapped before, the last first; what was refused.</summary>
    internal (List<DmaUse> Mapped, List<DmaUse> Ended, List<DmaRefusal> Refused) Take()
    {
        lock (_lock)
        {
            return (
                [.. _mapped.Values.SelectMany(uses => uses.Values).OrderBy(use => use.Start).Select(use => use with { })],
                [.. _ended.Reverse().Select(use => use with { })],
                [.. _refused.Values.OrderBy(refusal => refusal.Place).Select(refusal => refusal with { })]);
        }
    }

    private static bool IsOfMemory(TraceEventKind kind) =>
        kind is TraceEventKind.Map or TraceEventKind.Unmap or TraceEventKind.DmaRead or TraceEventKind.DmaWrite;

    // It was refused: it never was mapped.
    private void Forget(int session, ulong start)
    {
        if (_mapped.TryGetValue(session, out SortedList<ulong, DmaUse>? uses) && uses.Remove(start))
            _count--;
    }

    private void Map(in TraceEvent one)
    {
        if (_count >= MostMapped)
            return;
        if (!_mapped.TryGetValue(one.Session, out SortedList<ulong, DmaUse>? uses))
            _mapped.Add(one.Session, uses = []);
        if (uses.TryAdd(one.Place, new DmaUse(one.Session, one.Place, one.Value, one.Number, one.Nanoseconds)))
            _count++;
    }

    private void Unmap(int session, ulong start, ulong length, ulong time)
    {
        if (length == 0 || !_mapped.TryGetValue(session, out SortedList<ulong, DmaUse>? uses))
            return;
        ulong last = start + Math.Min(length - 1, ulong.MaxValue - start);
        for (int i = After(uses, last) - 1; i >= 0 && uses.Keys[i] >= start; i--)
        {
            DmaUse use = uses.Values[i];
            uses.RemoveAt(i);
            _count--;
            use.Unmapped = time;
            _ended.Enqueue(use);
            if (_ended.Count > MostEnded)
                _ended.Dequeue();
        }

        if (uses.Count == 0)
            _mapped.Remove(session);
    }

    private DmaUse? Find(int session, ulong place)
    {
        if (!_mapped.TryGetValue(session, out SortedList<ulong, DmaUse>? uses))
            return null;
        int after = After(uses, place);
        return after > 0 && uses.Values[after - 1] is var use && place - use.Start < use.Length ? use : null;
    }

    /// <summary>The position of the first range that starts after an address.</summary>
    private static int After(SortedList<ulong, DmaUse> uses, ulong place)
    {
        int low = 0, high = uses.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (uses.Keys[middle] <= place)
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }

    private void Refuse(TraceEventKind kind, in TraceEvent one)
    {
        Refusals++;
        if (_refused.TryGetValue((kind, one.Place), out DmaRefusal? known))
            known.Count++;
        else if (_refused.Count < MostRefused)
            _refused.Add((kind, one.Place), new DmaRefusal(kind, one.Place, one.Error) { Count = 1 });
    }
}

/// <summary>A range of memory that is, or was, mapped.</summary>
/// <param name="Session">In which session.</param>
/// <param name="Start">Its first address.</param>
/// <param name="Length">Its bytes.</param>
/// <param name="Access">What the device may do: <see cref="DmaAccess"/>.</param>
/// <param name="Mapped">When it was mapped, in nanoseconds since the trace began.</param>
internal sealed record DmaUse(int Session, ulong Start, ulong Length, uint Access, ulong Mapped)
{
    internal ulong? Unmapped { get; set; }

    internal long Reads { get; private set; }

    internal long Writes { get; private set; }

    internal long ReadBytes { get; private set; }

    internal long WrittenBytes { get; private set; }

    internal void Touch(in TraceEvent one)
    {
        if (one.Kind == TraceEventKind.DmaRead)
            (Reads, ReadBytes) = (Reads + 1, ReadBytes + one.Length);
        else
            (Writes, WrittenBytes) = (Writes + 1, WrittenBytes + one.Length);
    }
}

/// <summary>Something about memory that was refused.</summary>
/// <param name="Kind">What.</param>
/// <param name="Place">At which address.</param>
/// <param name="Error">Why, the first time.</param>
internal sealed record DmaRefusal(TraceEventKind Kind, ulong Place, Errno Error)
{
    internal long Count { get; set; }
}
