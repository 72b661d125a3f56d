namespace Vfio.Run.Interface;

/// <summary>The findings of a run, each once. Any thread may use it.</summary>
internal sealed class FindingList
{
    /// <summary>The most that are kept of a kind: a device that misses once misses often.</summary>
    internal const int MostOfAKind = 100;

    // A page has one finding for reads and one for writes.
    private readonly HashSet<(RunFindingKind, string, ulong)> _known = [];
    private readonly List<RunFinding> _findings = [];
    private readonly Lock _lock = new();

    // What this thread's access found last, which the device that made it is told of next.
    [ThreadStatic]
    private static bool _isTold;

    /// <summary>Those so far.</summary>
    internal IReadOnlyList<RunFinding> Findings
    {
        get
        {
            lock (_lock)
                return [.. _findings];
        }
    }

    /// <summary>Adds one.</summary>
    internal void Add(RunFindingKind kind, string device, string message)
    {
        lock (_lock)
            Append(kind, device, message);
    }

    /// <summary>An access of a device failed in the memory of the program.</summary>
    internal void AddUnmapped(bool isWrite, int process, ulong address, int length)
    {
        _isTold = true;
        string place = $"{length} bytes at 0x{address:x} of process {process}";
        Add(
            RunFindingKind.Unmapped, "a device", isWrite, address,
            $"{WordOf(isWrite)} {place}, which is mapped for DMA and not in its memory any more");
    }

    /// <summary>A device tells of an access that failed.</summary>
    internal void AddFault(string device, bool isWrite, ulong address, int length, bool isMaster)
    {
        bool isKnown = _isTold;
        _isTold = false;
        if (isKnown)
            return;
        string why = isMaster ? "where nothing is mapped for it, or not so" : "without bus mastering";
        Add(RunFindingKind.DmaFault, device, isWrite, address, $"{WordOf(isWrite)} {length} bytes at 0x{address:x}, {why}");
    }

    private static string WordOf(bool isWrite) => isWrite ? "wrote" : "read";

    private void Add(RunFindingKind kind, string device, bool isWrite, ulong address, string message)
    {
        const int PageBits = 12;
        lock (_lock)
        {
            if (_known.Count < 2 * MostOfAKind && _known.Add((kind, device, (address >> PageBits << 1) | (isWrite ? 1u : 0))))
                Append(kind, device, message);
        }
    }

    private void Append(RunFindingKind kind, string device, string message)
    {
        if (_findings.Count(finding => finding.Kind == kind) < MostOfAKind)
            _findings.Add(new RunFinding(kind, device, message));
    }
}
