using System.Text;
using Vfio.Tracing.Text;

namespace Vfio.Tracing.Replay;

/// <summary>The events of a session, and how far a driver has come in them.</summary>
/// <remarks>Not thread-safe: its owner has a lock.</remarks>
internal sealed class Script
{
    /// <summary>What <see cref="Find"/> returns for something that a driver is free to do.</summary>
    internal const int Free = -2;

    private const int ShownBefore = 3, ShownAfter = 2;
    private readonly List<TraceEvent> _events;
    private readonly ReplayMode _mode;
    private readonly RegisterNames _names;
    private readonly Dictionary<(TraceEventKind Kind, uint Number, ulong Place, uint Length), List<int>> _histories = [];
    private readonly Dictionary<(TraceEventKind Kind, uint Number, ulong Place, uint Length), int> _taken = [];

    private readonly HashSet<int> _played = [], _made = [];
    private int _released;

    // The event after the last one that was answered.
    private int _next;
    private int _last = -1;

    /// <summary>Begins at the first event.</summary>
    internal Script(List<TraceEvent> events, ReplayMode mode, RegisterNames names)
    {
        (_events, _mode, _names) = (events, mode, names);
        if (mode != ReplayMode.Register)
            return;
        for (int i = 0; i < events.Count; i++)
        {
            if (!events[i].IsOfUser)
                continue;
            (TraceEventKind, uint, ulong, uint) key = UserAction.Of(events[i]).Key;
            if (!_histories.TryGetValue(key, out List<int>? history))
                _histories.Add(key, history = []);
            history.Add(i);
        }
    }

    /// <summary>How many events of the driver were not asked for.</summary>
    internal int Left => _events.Skip(_next).Count(one => one.IsOfUser);

    /// <summary>Finds the recorded event that answers what the driver does.</summary>
    /// <param name="action">What the driver does.</param>
    /// <param name="skipped">Receives the events of the device that came before it, and were not played.</param>
    /// <returns>Its index; <see cref="Free"/> when there need not be one; -1 when the driver does something else than was
    /// recorded.</returns>
    internal int Find(in UserAction action, List<int> skipped) =>
        _mode == ReplayMode.Register ? FindInHistory(action) : FindNext(action, skipped);

    /// <summary>The events of the device between an event of the driver and the next one.</summary>
    internal IEnumerable<TraceEvent> EffectsOf(int index)
    {
        for (int i = index + 1; i < _events.Count && !_events[i].IsOfUser; i++)
            yield return _events[i];
    }

    /// <summary>By register: the events of the device of which all writes before them have been made, each once.</summary>
    /// <param name="made">The event that the driver made now.</param>
    internal IEnumerable<TraceEvent> Release(int made)
    {
        _made.Add(made);
        for (; _released < _events.Count; _released++)
        {
            TraceEvent one = _events[_released];
            if (one.Kind == TraceEventKind.Write && !_made.Contains(_released))
                yield break;
            if (!one.IsOfUser)
                yield return one;
        }
    }

    /// <summary>Whether what followed an event of the driver is to be played: once, however often the event answers.</summary>
    internal bool BeginEffects(int index) => _played.Add(index);

    /// <summary>Where a driver left the recording, in one line.</summary>
    internal string Difference(in UserAction action)
    {
        int at = NextOfUser(_next);
        StringBuilder text = new($"the driver {action.Describe(_names)}");
        if (_mode == ReplayMode.Register)
        {
            text.Append(_histories.TryGetValue(action.Key, out List<int>? history)
                ? $", which it did with other values in the recording: {Show(history[Math.Min(_taken.GetValueOrDefault(action.Key), history.Count - 1)])}"
                : ", which it does not do in the recording");
            return text.ToString();
        }

        text.Append(at < 0 ? ", and the recording has ended" : $" where the recording has, at event {_events[at].Index}, {Show(at)}");
        int[] before = [.. Enumerable.Range(0, Math.Max(0, at < 0 ? _events.Count : at)).Reverse().Where(i => _events[i].IsOfUser).Take(ShownBefore).Reverse()];
        if (before.Length > 0)
            text.Append("; before it: ").AppendJoin(" | ", before.Select(Show));
        int[] after = at < 0 ? [] : [.. Enumerable.Range(at + 1, _events.Count - at - 1).Where(i => _events[i].IsOfUser).Take(ShownAfter)];
        if (after.Length > 0)
            text.Append("; after it: ").AppendJoin(" | ", after.Select(Show));
        return text.ToString();
    }

    /// <summary>An event of the recording.</summary>
    internal TraceEvent this[int index] => _events[index];

    private int FindNext(in UserAction action, List<int> skipped)
    {
        int at = NextOfUser(_next);
        if (at >= 0 && UserAction.Of(_events[at]) == action)
            return Take(at);
        if (_mode != ReplayMode.Loose)
            return -1;

        // Another turn of a loop that has ended in the recording: the register reads as it did last.
        bool repeats = action.Kind == TraceEventKind.Read && _last >= 0 && UserAction.Of(_events[_last]) == action;

        // Fewer turns: what the recording reads again is left out.
        if (_last >= 0 && _events[_last].Kind == TraceEventKind.Read && !repeats)
        {
            UserAction loop = UserAction.Of(_events[_last]);
            for (int i = at; i >= 0; i = NextOfUser(i + 1))
            {
                UserAction recorded = UserAction.Of(_events[i]);
                if (recorded == action)
                {
                    for (int j = at; j < i; j++)
                    {
                        if (!_events[j].IsOfUser)
                            skipped.Add(j);
                    }

                    return Take(i);
                }

                if (recorded != loop)
                    break;
            }
        }

        return repeats ? _last : -1;
    }

    private int Take(int at)
    {
        (_last, _next) = (at, at + 1);
        return at;
    }

    private int FindInHistory(in UserAction action)
    {
        // Memory and interrupts are no registers: a driver that sets them up in another way gets what it asks for.
        int otherwise = action.Kind is TraceEventKind.Read or TraceEventKind.Write ? -1 : Free;
        if (!_histories.TryGetValue(action.Key, out List<int>? history))
            return otherwise;
        int turn = _taken.GetValueOrDefault(action.Key);
        if (turn >= history.Count)
            return action.Kind == TraceEventKind.Read ? history[^1] : otherwise;
        if (UserAction.Of(_events[history[turn]]) != action)
            return otherwise;
        _taken[action.Key] = turn + 1;
        return history[turn];
    }

    private int NextOfUser(int from)
    {
        for (int i = from; i < _events.Count; i++)
        {
            if (_events[i].IsOfUser)
                return i;
        }

        return -1;
    }

    private string Show(int index) => string.Join(' ', TraceText.What(_events[index], _names).Split(' ', StringSplitOptions.RemoveEmptyEntries));
}
