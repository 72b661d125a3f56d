using Vfio.Abstractions;

namespace Vfio.Guard.Interrupts;

/// <content>What a handover needs.</content>
internal sealed partial class GuardedInterrupts
{
    /// <summary>Stops listening to eventfds.</summary>
    internal void PauseListening() => _watcher.Pause();

    /// <summary>Listens again. Signals that came meanwhile count.</summary>
    internal void ResumeListening() => _watcher.Resume();

    /// <summary>All bound eventfds; the triggers first.</summary>
    internal List<BoundEvent> Bound()
    {
        List<BoundEvent> bound = [];
        lock (_lock)
        {
            for (uint kind = 0; kind < _kinds.Length; kind++)
            {
                for (int vector = 0; vector < _kinds[kind].Length; vector++)
                {
                    if (_kinds[kind][vector].Trigger is { } trigger)
                        bound.Add(new BoundEvent(new InterruptIndex(kind), InterruptAction.Trigger, vector, trigger.Descriptor));
                }
            }
        }

        _watcher.CollectTo(bound);
        return bound;
    }

    /// <summary>The kinds (ERR, REQ) that are pending without an eventfd. The state of a migration does not have them.</summary>
    internal InterruptIndex[] UnboundKinds()
    {
        lock (_lock)
        {
            return [.. new[] { InterruptIndex.Error, InterruptIndex.Request }.Where(kind => _kinds[kind.Value][0].IsPending)];
        }
    }
}
