using Vfio.Tracing;

namespace Vfio.Web.Events;

/// <summary>The registers that a driver used: how often, and the last value.</summary>
/// <remarks>One thread adds, any reads; memory is bounded whatever the trace has.</remarks>
internal sealed class RegisterUses
{
    /// <summary>More registers than these are not told apart.</summary>
    internal const int Most = 4096;

    private readonly Lock _lock = new();
    private readonly Dictionary<(uint Region, ulong Offset, uint Bytes), RegisterUse> _uses = [];

    /// <summary>Accesses that are not counted, because there were too many different ones.</summary>
    internal long Uncounted { get; private set; }

    /// <summary>Learns from an event.</summary>
    internal void Add(in TraceEvent one)
    {
        if (one.Kind is not (TraceEventKind.Read or TraceEventKind.Write) || one.Length is 0 or > sizeof(ulong))
            return;
        lock (_lock)
        {
            (uint, ulong, uint) key = (one.Number, one.Place, one.Length);
            if (!_uses.TryGetValue(key, out RegisterUse? use))
            {
                if (_uses.Count >= Most)
                {
                    Uncounted++;
                    return;
                }

                _uses.Add(key, use = new RegisterUse(one.Number, one.Place, (int)one.Length));
            }

            use.Add(one);
        }
    }

    /// <summary>All of them, by region and offset.</summary>
    internal List<RegisterUse> Take()
    {
        lock (_lock)
        {
            return
            [
                .. _uses.Values.OrderBy(use => use.Region).ThenBy(use => use.Offset).ThenBy(use => use.Bytes).Select(use => use with { }),
            ];
        }
    }
}

/// <summary>A register that was used.</summary>
/// <param name="Region">Its region.</param>
/// <param name="Offset">Its offset.</param>
/// <param name="Bytes">The width of the accesses.</param>
internal sealed record RegisterUse(uint Region, ulong Offset, int Bytes)
{
    internal long Reads { get; private set; }

    internal long Writes { get; private set; }

    internal long Refusals { get; private set; }

    internal ulong? LastRead { get; private set; }

    internal ulong? LastWritten { get; private set; }

    internal int Session { get; private set; }

    internal void Add(in TraceEvent one)
    {
        Session = one.Session;
        if (one.Error != Errno.None)
            Refusals++;
        else if (one.Kind == TraceEventKind.Read)
            (Reads, LastRead) = (Reads + 1, one.Value);
        else
            (Writes, LastWritten) = (Writes + 1, one.Value);
    }
}
