using Vfio.Guard;

namespace Vfio.Devices.Nvme;

/// <summary>Asynchronous events, and the requests that wait for them.</summary>
/// <remarks>
/// <para>NVM Express Base Specification 2.0, section 5.2. An event of a type is reported once, and then masked until its log page was
/// read. Any thread raises one; the admin queue's thread completes requests.</para>
/// </remarks>
internal sealed class NvmeEvents
{
    /// <summary>How many requests it keeps: AERL + 1.</summary>
    internal const int MaxRequests = 4;

    /// <summary>Types of events.</summary>
    internal const int Error = 0, Smart = 1, Notice = 2, IoCommandSet = 6;

    private readonly Lock _lock = new();
    private readonly Queue<ushort> _requests = [];
    private readonly List<(int Type, int Information, int Page)> _events = [];
    private int _maskedTypes;

    /// <summary>Keeps a request.</summary>
    /// <returns>False when there are enough.</returns>
    internal bool TryKeep(ushort command)
    {
        lock (_lock)
        {
            if (_requests.Count == MaxRequests)
                return false;
            _requests.Enqueue(command);
            return true;
        }
    }

    /// <summary>Takes a request back.</summary>
    /// <returns>False when the command is none.</returns>
    internal bool TryWithdraw(ushort command)
    {
        lock (_lock)
        {
            ushort[] others = [.. _requests.Where(request => request != command)];
            if (others.Length == _requests.Count)
                return false;
            _requests.Clear();
            Array.ForEach(others, _requests.Enqueue);
            return true;
        }
    }

    /// <summary>Records an event; one that is there already is the same.</summary>
    /// <returns>Whether a request can be completed.</returns>
    internal bool Raise(int type, int information, int page)
    {
        lock (_lock)
        {
            if (!_events.Contains((type, information, page)))
                _events.Add((type, information, page));
            return _requests.Count > 0;
        }
    }

    /// <summary>A log page was read: events of its type are reported again.</summary>
    internal void Unmask(int page)
    {
        int type = page switch { 0x01 => Error, 0x02 => Smart, 0x04 => Notice, 0x81 => IoCommandSet, _ => -1 };
        lock (_lock)
            _maskedTypes &= type < 0 ? -1 : ~(1 << type);
    }

    /// <summary>Takes an event and a request that it completes.</summary>
    internal bool TryTake(out ushort command, out NvmeOutcome outcome)
    {
        command = 0;
        outcome = default;
        lock (_lock)
        {
            int index = _events.FindIndex(one => (_maskedTypes >> one.Type & 1) == 0);
            if (index < 0 || !_requests.TryDequeue(out command))
                return false;
            (int type, int information, int page) = _events[index];
            _events.RemoveAt(index);
            _maskedTypes |= 1 << type;
            outcome = new NvmeOutcome(0, (uint)(type | information << 8 | page << 16));
            return true;
        }
    }

    /// <summary>Saves requests and events.</summary>
    internal void Save(StateWriter state)
    {
        lock (_lock)
        {
            state.Write(_maskedTypes);
            state.Write(_requests.Count);
            foreach (ushort request in _requests)
                state.Write(request);
            state.Write(_events.Count);
            foreach ((int type, int information, int page) in _events)
                state.Write(type | information << 8 | page << 16);
        }
    }

    /// <summary>Restores what <see cref="Save"/> wrote.</summary>
    internal bool TryRestore(ref StateReader state)
    {
        const int MaxEvents = 256;
        lock (_lock)
        {
            if (!state.TryRead(out _maskedTypes) || !state.TryRead(out int requests) || requests is < 0 or > MaxRequests)
                return false;
            for (int i = 0; i < requests; i++)
            {
                if (!state.TryRead(out ushort request))
                    return false;
                _requests.Enqueue(request);
            }

            if (!state.TryRead(out int events) || events is < 0 or > MaxEvents)
                return false;
            for (int i = 0; i < events; i++)
            {
                if (!state.TryRead(out int one))
                    return false;
                _events.Add((one & 7, one >> 8 & 0xff, one >> 16 & 0xff));
            }

            return true;
        }
    }
}
