namespace Vfio.Guard.Interrupts;

/// <content>What goes along when another process goes on with the lease.</content>
internal sealed partial class GuardedInterrupts
{
    /// <summary>Listens to no eventfd for now.</summary>
    internal void PauseListening() => _watcher.Pause();

    /// <summary>Listens again, to what was signalled meanwhile too.</summary>
    internal void ResumeListening() => _watcher.Resume();

    /// <summary>All eventfds, those that are signalled first.</summary>
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

    /// <summary>What the provider has said and nobody has heard; the state of a migration has none of that.</summary>
    internal InterruptIndex[] UnboundKinds()
    {
        lock (_lock)
        {
            return [.. new[] { InterruptIndex.Error, InterruptIndex.Request }.Where(kind => _kinds[kind.Value][0].IsPending)];
        }
    }
}
