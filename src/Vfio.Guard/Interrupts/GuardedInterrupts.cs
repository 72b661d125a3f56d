using Vfio.Native;

namespace Vfio.Guard;

/// <summary>The interrupts of one lease: which eventfd each vector signals, which vectors are held back, and what is pending.</summary>
/// <remarks>
/// <para>Any thread may use it. Eventfds are signalled when no lock is held: those that fire while the function's turn is taken, after it.</para>
/// <para>INTx is a level: when it fires it is masked until somebody unmasks it, and fires again if the pin is still asserted.
/// A message that comes while its vector is held back is pending, and is signalled when the vector is let go. What the lender has to
/// say (ERR, REQ) waits for an eventfd.</para>
/// </remarks>
internal sealed partial class GuardedInterrupts : IDisposable
{
    private const int Intx = 0, Msi = 1, Msix = 2;
    private readonly Lock _gate = new();
    private readonly Turn _turn;
    private readonly InterruptVector[][] _kinds;
    private readonly Queue<(int Kind, int Vector)> _ready = new();
    private readonly EventWatcher _watcher;
    private volatile bool _hasReady;
    private bool _pin;
    private bool _isIntxDisabled;
    private bool _isMsixMasked;
    private bool _isHeld;

    internal GuardedInterrupts(FunctionLayout layout, Turn turn)
    {
        _turn = turn;
        int[] counts = [layout.HasPin ? 1 : 0, layout.MsiVectors, layout.MsixTable?.Vectors ?? 0, 1, 1];
        _kinds = [.. counts.Select(count => new InterruptVector[count])];
        _watcher = new EventWatcher(layout.Function.Name, SetMasked);
        Reset();
    }

    internal InterruptInfo GetInfo(InterruptIndex index)
    {
        InterruptFlags flags = index.Value switch
        {
            Intx => InterruptFlags.EventFd | InterruptFlags.Maskable | InterruptFlags.AutoMasked,
            Msi or Msix => InterruptFlags.EventFd | InterruptFlags.Maskable,
            _ => InterruptFlags.EventFd,
        };
        return new InterruptInfo(index, _kinds[index.Value].Length, flags);
    }

    /// <summary>Carries out a request; in the function's turn.</summary>
    /// <returns>Why not; nothing is changed then.</returns>
    internal Errno Set(in InterruptRequest request)
    {
        Errno error = InterruptJudge.Judge(request, GetInfo(request.Index), InUse());
        if (error != Errno.None)
            return error;
        if (request.IsDisable)
            Disable(request.Index);
        else if (request.Data == InterruptData.Events)
            return Bind(request);
        else
            Act(request);
        return Errno.None;
    }

    /// <summary>How many vectors from 0 on it takes to have all bound ones; 0 when the kind is off.</summary>
    internal int BoundCount(InterruptIndex index)
    {
        lock (_gate)
            return Array.FindLastIndex(_kinds[index.Value], vector => vector.Trigger is not null) + 1;
    }

    /// <summary>Whether a vector has an eventfd; one that does not exist has none.</summary>
    internal bool IsBound(InterruptIndex index, int vector)
    {
        lock (_gate)
        {
            return index.Value < (uint)_kinds.Length
                && (uint)vector < (uint)_kinds[index.Value].Length
                && _kinds[index.Value][vector].Trigger is not null;
        }
    }

    /// <summary>The masks of 64 vectors, from <paramref name="first"/> on.</summary>
    internal ulong Masked(InterruptIndex index, int first) => Collect(index, first, static vector => vector.IsMasked);

    /// <summary>The pending bits of 64 vectors, from <paramref name="first"/> on.</summary>
    internal ulong Pending(InterruptIndex index, int first) => Collect(index, first, static vector => vector.IsPending);

    internal void SetMasked(InterruptIndex index, int vector, bool isMasked)
    {
        lock (_gate)
        {
            _kinds[index.Value][vector].IsMasked = isMasked;
            Release((int)index.Value, vector);
        }

        FlushUnlessInTurn();
    }

    internal void SetMsixFunctionMask(bool isMasked)
    {
        lock (_gate)
        {
            _isMsixMasked = isMasked;
            for (int vector = 0; vector < _kinds[Msix].Length; vector++)
                Release(Msix, vector);
        }

        FlushUnlessInTurn();
    }

    /// <summary>The user's INTx disable bit: a mask beside the other.</summary>
    internal void SetIntxDisabled(bool isDisabled)
    {
        lock (_gate)
        {
            _isIntxDisabled = isDisabled;
            FirePin();
        }

        FlushUnlessInTurn();
    }

    /// <summary>The function changes the level of its pin.</summary>
    internal void SetPin(bool asserted)
    {
        lock (_gate)
        {
            _pin = asserted;
            FirePin();
        }

        FlushUnlessInTurn();
    }

    /// <summary>The function sends a message, or the lender has something to say. A vector that the kind does not have is
    /// dropped.</summary>
    internal void Fire(InterruptIndex index, int vector)
    {
        lock (_gate)
        {
            if ((uint)vector >= (uint)_kinds[index.Value].Length)
                return;
            _kinds[index.Value][vector].IsPending = true;
            Release((int)index.Value, vector);
        }

        FlushUnlessInTurn();
    }

    /// <summary>Forgets what is pending and masked; what is bound stays bound, and unmasked. Called before the function resets.</summary>
    internal void Reset()
    {
        lock (_gate)
        {
            _pin = false;
            for (int kind = 0; kind < _kinds.Length; kind++)
            {
                foreach (ref InterruptVector vector in _kinds[kind].AsSpan())
                {
                    // What the lender has to say is true after a reset too.
                    vector.IsPending &= kind > Msix;
                    vector.IsMasked = kind == Msix && vector.Trigger is null;
                }
            }
        }
    }

    /// <summary>Holds everything back that the function fires, as pending, or lets it go. What nobody is bound to waits on.</summary>
    internal void SetHeld(bool isHeld)
    {
        lock (_gate)
        {
            _isHeld = isHeld;
            FirePin();
            for (int kind = Msi; kind < _kinds.Length; kind++)
            {
                for (int vector = 0; vector < _kinds[kind].Length; vector++)
                {
                    if (_kinds[kind][vector].Trigger is not null)
                        Release(kind, vector);
                }
            }
        }

        FlushUnlessInTurn();
    }

    /// <summary>How long <see cref="Save"/> is, in bytes.</summary>
    internal int StateLength => _kinds[Intx].Length + _kinds[Msi].Length + _kinds[Msix].Length;

    /// <summary>Writes down which vectors are masked and pending: a byte each, of INTx, MSI and MSI-X.</summary>
    internal void Save(Span<byte> to)
    {
        lock (_gate)
        {
            for (int kind = Intx, at = 0; kind <= Msix; kind++)
            {
                foreach (ref InterruptVector vector in _kinds[kind].AsSpan())
                    to[at++] = vector.State;
            }
        }
    }

    /// <summary>Takes over what <see cref="Save"/> wrote, beside what is pending here; while everything is held back.</summary>
    internal void Restore(ReadOnlySpan<byte> from)
    {
        lock (_gate)
        {
            for (int kind = Intx, at = 0; kind <= Msix; kind++)
            {
                foreach (ref InterruptVector vector in _kinds[kind].AsSpan())
                {
                    bool wasPending = vector.IsPending;
                    vector.State = from[at++];
                    vector.IsPending |= wasPending;
                }
            }
        }
    }

    /// <summary>Signals what is ready; called when no lock is held.</summary>
    internal void Flush()
    {
        while (_hasReady)
        {
            EventFd? trigger;
            bool isHeld = false;
            lock (_gate)
            {
                bool hasNext = _ready.TryDequeue(out (int Kind, int Vector) next);
                _hasReady = _ready.Count > 0;
                if (!hasNext)
                    return;
                ref InterruptVector vector = ref _kinds[next.Kind][next.Vector];
                vector.IsQueued = false;
                trigger = vector.Trigger;

                // It may be taken away as soon as the lock is gone, and its number given to another file.
                trigger?.Descriptor.DangerousAddRef(ref isHeld);
            }

            trigger?.Signal();
            if (isHeld)
                trigger!.Descriptor.DangerousRelease();
        }
    }

    public void Dispose()
    {
        for (uint kind = 0; kind < InterruptIndex.PciCount; kind++)
            Disable(new InterruptIndex(kind));
        _watcher.Dispose();
    }

    private InterruptIndex? InUse()
    {
        for (uint kind = Intx; kind <= Msix; kind++)
        {
            if (BoundCount(new InterruptIndex(kind)) != 0)
                return new InterruptIndex(kind);
        }

        return null;
    }

    private void Disable(InterruptIndex index)
    {
        _watcher.RemoveAll(index);
        lock (_gate)
        {
            foreach (ref InterruptVector vector in _kinds[index.Value].AsSpan())
            {
                vector.Trigger?.Dispose();
                vector.Trigger = null;
                vector.IsPending = false;
                vector.IsMasked = index.Value == Msix;
            }
        }
    }

    /// <summary>Takes hold of all the eventfds before any is put to use.</summary>
    private Errno Bind(in InterruptRequest request)
    {
        EventFd?[] held = new EventFd?[request.Count];
        for (int i = 0; i < held.Length; i++)
        {
            held[i] = request.Events[i] is { } descriptor ? EventFd.TryHold(descriptor) : null;
            if (request.Events[i] is not null && held[i] is null)
                return LetGo(held, Errno.InvalidArgument);
        }

        if (request.Action != InterruptAction.Trigger)
        {
            bool fits = _watcher.TryAdd(request.Index, request.Start, held, isMask: request.Action == InterruptAction.Mask);
            return fits ? Errno.None : LetGo(held, Errno.NoSpace);
        }

        lock (_gate)
        {
            for (int i = 0; i < held.Length; i++)
                Bind((int)request.Index.Value, request.Start + i, held[i]);
        }

        return Errno.None;
    }

    private void Bind(int kind, int vector, EventFd? trigger)
    {
        ref InterruptVector state = ref _kinds[kind][vector];
        state.Trigger?.Dispose();
        state.Trigger = trigger;
        state.IsMasked = kind == Msix && trigger is null;
        Release(kind, vector);
    }

    private void Act(in InterruptRequest request)
    {
        for (int i = 0; i < request.Count; i++)
        {
            if (request.Data == InterruptData.Bools && request.Bools[i] == 0)
                continue;
            if (request.Action != InterruptAction.Trigger)
                SetMasked(request.Index, request.Start + i, request.Action == InterruptAction.Mask);
            else
                Loopback((int)request.Index.Value, request.Start + i);
        }
    }

    /// <summary>Signals as if the vector had fired; for tests of the path, so masks do not count.</summary>
    private void Loopback(int kind, int vector)
    {
        lock (_gate)
            Enqueue(kind, vector);
        FlushUnlessInTurn();
    }

    /// <summary>Signals a vector if it is pending and nothing holds it; inside the lock.</summary>
    private void Release(int kind, int vector)
    {
        if (kind == Intx)
        {
            FirePin();
            return;
        }

        ref InterruptVector state = ref _kinds[kind][vector];
        bool isHeld = state.IsMasked || _isHeld || (kind == Msix && _isMsixMasked) || (kind > Msix && state.Trigger is null);
        if (!state.IsPending || isHeld)
            return;
        state.IsPending = false;
        Enqueue(kind, vector);
    }

    /// <summary>Signals INTx if the pin is asserted and nothing holds it, and masks it; inside the lock.</summary>
    private void FirePin()
    {
        if (!_pin || _isIntxDisabled || _isHeld || _kinds[Intx].Length == 0 || _kinds[Intx][0] is { IsMasked: true } or { Trigger: null })
            return;
        _kinds[Intx][0].IsMasked = true;
        Enqueue(Intx, 0);
    }

    private void Enqueue(int kind, int vector)
    {
        ref InterruptVector state = ref _kinds[kind][vector];
        if (state.IsQueued || state.Trigger is null)
            return;
        state.IsQueued = true;
        _ready.Enqueue((kind, vector));
        _hasReady = true;
    }

    private void FlushUnlessInTurn()
    {
        if (!_hasReady)
            return;
        // Whoever has the turn gives it back before it looks at what is ready; here it is the other way round, so one of both sees it.
        Interlocked.MemoryBarrier();
        if (!_turn.IsTaken)
            Flush();
    }

    private ulong Collect(InterruptIndex index, int first, Func<InterruptVector, bool> test)
    {
        ulong bits = 0;
        lock (_gate)
        {
            InterruptVector[] vectors = _kinds[index.Value];
            for (int i = first; i < Math.Min(vectors.Length, first + 64); i++)
                bits |= test(vectors[i]) ? 1UL << (i - first) : 0;
        }

        return bits;
    }

    private static Errno LetGo(EventFd?[] held, Errno error)
    {
        foreach (EventFd? eventFd in held)
            eventFd?.Dispose();
        return error;
    }
}
