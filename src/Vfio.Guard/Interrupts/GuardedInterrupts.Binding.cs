using Vfio.Native;

namespace Vfio.Guard.Interrupts;

/// <content>The binding of eventfds, and their exchange.</content>
internal sealed partial class GuardedInterrupts
{
    private InterruptIndex? InUse()
    {
        int kind = Array.FindIndex(_inUse, Intx, Msix + 1, count => count != 0);
        return kind < 0 ? null : new InterruptIndex((uint)kind);
    }

    private void Disable(InterruptIndex index)
    {
        _watcher.RemoveAll(index);
        lock (_lock)
        {
            _inUse[index.Value] = 0;
            foreach (ref InterruptVector vector in _kinds[index.Value].AsSpan())
            {
                // The mask bits of the register are the user's, whether the kind is in use or not.
                vector.Trigger?.Dispose();
                vector.Trigger = null;
                vector.IsPending = false;
                vector.IsQueued = false;
                vector.IsMaskedByRequest = false;
            }
        }
    }

    private Errno Bind(in InterruptRequest request, MessageHardware hardware)
    {
        EventFd?[] held = new EventFd?[request.Count];
        bool isTaken = false;
        try
        {
            // All are referenced before any is used.
            for (int i = 0; i < held.Length; i++)
            {
                held[i] = request.Events[i] is { } descriptor ? EventFd.TryHold(descriptor) : null;
                if (request.Events[i] is not null && held[i] is null)
                    return Errno.InvalidArgument;
            }

            if (request.Action == InterruptAction.Trigger)
                Exchange((int)request.Index.Value, request.Start, held, hardware);
            else if (!_watcher.TryAdd(request.Index, request.Start, held, isMask: request.Action == InterruptAction.Mask))
                return Errno.NoSpace;
            isTaken = true;
            return Errno.None;
        }
        finally
        {
            if (!isTaken)
                Free(held);
        }
    }

    /// <summary>Replaces eventfds by others; at every moment a message finds one of both. Masks stay.</summary>
    private void Exchange(int kind, int start, EventFd?[] events, MessageHardware hardware)
    {
        int before;
        lock (_lock)
        {
            before = _inUse[kind];
            _changing = kind;
            if (kind <= Msix)
                _inUse[kind] = Math.Max(before, start + events.Length);
            Swap(kind, start, events);
        }

        bool isDone = false;
        try
        {
            if (kind is Msi or Msix)
                hardware.Program(start, events.Length);
            isDone = true;
        }
        finally
        {
            lock (_lock)
            {
                if (!isDone)
                {
                    _inUse[kind] = before;
                    Swap(kind, start, events);
                }

                _changing = None;
                ReleaseAll();
            }

            if (!isDone)
                hardware.TryProgram(start, events.Length);
        }

        Free(events);
    }

    /// <summary>Exchanges the eventfds of vectors; under the lock.</summary>
    private void Swap(int kind, int start, EventFd?[] events)
    {
        for (int i = 0; i < events.Length; i++)
            (_kinds[kind][start + i].Trigger, events[i]) = (events[i], _kinds[kind][start + i].Trigger);
    }

    /// <summary>Takes what a vector that was ready signals. A vector that cannot signal now, or has no eventfd, becomes pending again.
    /// Under the lock.</summary>
    private EventFd? Take(int kind, int vector)
    {
        ref InterruptVector state = ref _kinds[kind][vector];
        if (!state.IsQueued)
            return null;
        state.IsQueued = false;
        if (state.Trigger is not null && kind != _changing)
            return state.Trigger;
        if (kind == Intx)
            state.IsMaskedByRequest = false;
        else
            state.IsPending = true;
        return null;
    }

    private static void Free(EventFd?[] events)
    {
        foreach (EventFd? eventFd in events)
            eventFd?.Dispose();
    }
}
