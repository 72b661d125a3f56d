using Vfio.Guard.Function;
using Vfio.Guard.Shared;
using Vfio.Native;

namespace Vfio.Guard.Interrupts;

/// <summary>The interrupts of one lease: which eventfd each vector signals, which vectors are held back, and what is pending.</summary>
/// <remarks>
/// <para>Any thread may use it. Eventfds are signalled when no lock is held: those that fire while the function's lock is held, after
/// its release.</para>
/// <para>INTx is a level: when it fires it is masked until it is unmasked, and fires again if the pin is still asserted.
/// A message that comes while its vector is held back, or has no eventfd, is pending; it is signalled when nothing holds it back. ERR and
/// REQ wait for an eventfd.</para>
/// <para>As in the kernel, a kind is in use from the first request that binds eventfds, even zero of them, until it is disabled.</para>
/// </remarks>
internal sealed partial class GuardedInterrupts : IDisposable
{
    private const int Intx = 0, Msi = 1, Msix = 2, None = -1;
    private readonly Lock _lock = new();
    private readonly FunctionLock _functionLock;
    private readonly InterruptVector[][] _kinds;

    // How many vectors from 0 on a kind has in use; 0 when it is off.
    private readonly int[] _inUse = new int[InterruptIndex.PciCount];
    private readonly Queue<(int Kind, int Vector)> _ready = new();
    private readonly EventWatcher _watcher;
    private volatile bool _hasReady;
    private bool _pin;
    private bool _isIntxDisabled;
    private bool _isMsixMasked;
    private bool _isHeld;
    private bool _isBusMaster;
    private bool _isAsleep;
    private bool _isResetting;

    // The kind whose eventfds are being exchanged: it is not signalled before the exchange is done, or undone.
    private int _changing = None;

    internal GuardedInterrupts(FunctionLayout layout, FunctionLock functionLock)
    {
        _functionLock = functionLock;
        int[] counts = [layout.HasPin ? 1 : 0, layout.MsiVectors, layout.MsixTable?.Vectors ?? 0, 1, 1];
        _kinds = [.. counts.Select(count => new InterruptVector[count])];
        _watcher = new EventWatcher(layout.Function.Name, SetMaskedByRequest);
        Forget();
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

    /// <summary>Carries out a request; under the function's lock.</summary>
    /// <param name="request">The request.</param>
    /// <param name="hardware">Is programmed to send what the request binds. When that throws, the former eventfds are bound again; but a
    /// kind that is disabled stays off.</param>
    /// <returns>The error; nothing is changed then.</returns>
    internal Errno Set(in InterruptRequest request, MessageHardware hardware)
    {
        Errno error = InterruptRequestValidator.Check(request, GetInfo(request.Index), InUse());
        if (error != Errno.None)
            return error;
        if (request.IsDisable)
        {
            Disable(request.Index);
            hardware.Program();
        }
        else if (request.Data == InterruptData.Events)
        {
            return Bind(request, hardware);
        }
        else
        {
            Act(request);
        }

        return Errno.None;
    }

    /// <summary>How many vectors from 0 on a kind has in use, whether eventfds are bound to them or not; 0 when the kind is off.</summary>
    internal int CountInUse(InterruptIndex index)
    {
        lock (_lock)
            return _inUse[index.Value];
    }

    /// <summary>Whether a vector has an eventfd; one that does not exist has none.</summary>
    internal bool IsBound(InterruptIndex index, int vector)
    {
        lock (_lock)
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

    /// <summary>Sets a vector's mask bit, as the user writes it.</summary>
    internal void SetMaskedByRegister(InterruptIndex index, int vector, bool isMasked)
    {
        lock (_lock)
        {
            _kinds[index.Value][vector].SetByRegister(isMasked);
            Release((int)index.Value, vector);
        }

        FlushUnlessLocked();
    }

    /// <summary>Sets whether the function may send messages; pending ones wait while it may not.</summary>
    internal void SetBusMaster(bool isBusMaster)
    {
        lock (_lock)
        {
            _isBusMaster = isBusMaster;
            ReleaseAll();
        }

        FlushUnlessLocked();
    }

    /// <summary>Sets whether the function is in a power state in which it does not interrupt.</summary>
    internal void SetAsleep(bool isAsleep)
    {
        lock (_lock)
        {
            _isAsleep = isAsleep;
            ReleaseAll();
        }

        FlushUnlessLocked();
    }

    internal void SetMsixFunctionMask(bool isMasked)
    {
        lock (_lock)
        {
            _isMsixMasked = isMasked;
            for (int vector = 0; vector < _kinds[Msix].Length; vector++)
                Release(Msix, vector);
        }

        FlushUnlessLocked();
    }

    /// <summary>Sets the user's INTx disable bit: a second mask of INTx.</summary>
    internal void SetIntxDisabled(bool isDisabled)
    {
        lock (_lock)
        {
            _isIntxDisabled = isDisabled;
            FirePin();
        }

        FlushUnlessLocked();
    }

    /// <summary>Sets the level of the function's pin.</summary>
    internal void SetPin(bool asserted)
    {
        lock (_lock)
        {
            _pin = asserted;
            FirePin();
        }

        FlushUnlessLocked();
    }

    /// <summary>Fires a vector: a message of the function, or an ERR or REQ of the provider. A vector that the kind does not have is
    /// dropped.</summary>
    internal void Fire(InterruptIndex index, int vector)
    {
        lock (_lock)
        {
            if ((uint)vector >= (uint)_kinds[index.Value].Length)
                return;
            _kinds[index.Value][vector].IsPending = true;
            Release((int)index.Value, vector);
        }

        FlushUnlessLocked();
    }

    /// <summary>Clears pending bits and masks; eventfds stay bound. The function's interrupts have no effect until <see
    /// cref="EndReset"/>.</summary>
    /// <param name="isDone">Whether the function was reset already: the level of its pin is then the one after the reset.</param>
    internal void BeginReset(bool isDone)
    {
        lock (_lock)
        {
            _isResetting = true;
            _pin &= isDone;
            Forget();
        }
    }

    /// <summary>Lets the function interrupt again after a reset.</summary>
    internal void EndReset()
    {
        lock (_lock)
        {
            _isResetting = false;
            ReleaseAll();
        }

        FlushUnlessLocked();
    }

    /// <summary>Holds everything that the function fires back, as pending, or releases it. Vectors without an eventfd stay
    /// pending.</summary>
    internal void SetHeld(bool isHeld)
    {
        lock (_lock)
        {
            _isHeld = isHeld;
            ReleaseAll();
        }

        FlushUnlessLocked();
    }

    /// <summary>Signals what is ready; called without a lock.</summary>
    internal void Flush()
    {
        while (_hasReady)
        {
            EventFd? trigger;
            bool isHeld = false;
            lock (_lock)
            {
                bool hasNext = _ready.TryDequeue(out (int Kind, int Vector) next);
                _hasReady = _ready.Count > 0;
                if (!hasNext)
                    return;
                trigger = Take(next.Kind, next.Vector);

                // The eventfd may be unbound as soon as the lock is released, and its number reused.
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

    private void Forget()
    {
        for (int kind = 0; kind < _kinds.Length; kind++)
        {
            foreach (ref InterruptVector vector in _kinds[kind].AsSpan())
            {
                // ERR and REQ hold after a reset too.
                vector.IsPending &= kind > Msix;
                vector.IsMaskedByRequest = false;
                vector.Register = kind == Msix ? RegisterMask.MaskedWhileUnbound : RegisterMask.Unmasked;
            }
        }
    }

    private void Act(in InterruptRequest request)
    {
        for (int i = 0; i < request.Count; i++)
        {
            if (request.Data == InterruptData.Bools && request.Bools[i] == 0)
                continue;
            if (request.Action != InterruptAction.Trigger)
                SetMaskedByRequest(request.Index, request.Start + i, request.Action == InterruptAction.Mask);
            else
                Loopback((int)request.Index.Value, request.Start + i);
        }
    }

    private void SetMaskedByRequest(InterruptIndex index, int vector, bool isMasked)
    {
        lock (_lock)
        {
            _kinds[index.Value][vector].SetByRequest(isMasked);
            Release((int)index.Value, vector);
        }

        FlushUnlessLocked();
    }

    /// <summary>Signals as if the vector had fired, whatever its masks: a test of the path.</summary>
    private void Loopback(int kind, int vector)
    {
        lock (_lock)
            Enqueue(kind, vector);
        FlushUnlessLocked();
    }

    /// <summary>Signals a vector if it is pending and nothing holds it back; under the lock.</summary>
    private void Release(int kind, int vector)
    {
        if (kind == Intx)
        {
            FirePin();
            return;
        }

        ref InterruptVector state = ref _kinds[kind][vector];
        if (!state.IsPending || state.Trigger is null || state.IsMasked || _isHeld || kind == _changing)
            return;
        if (kind <= Msix && (_isAsleep || !_isBusMaster || (kind == Msix && _isMsixMasked)))
            return;
        state.IsPending = false;
        Enqueue(kind, vector);
    }

    /// <summary>Signals all vectors that are pending and not held back; under the lock.</summary>
    private void ReleaseAll()
    {
        FirePin();
        for (int kind = Msi; kind < _kinds.Length; kind++)
        {
            for (int vector = 0; vector < _kinds[kind].Length; vector++)
                Release(kind, vector);
        }
    }

    /// <summary>Signals INTx if the pin is asserted and nothing holds it back, and masks it; under the lock.</summary>
    private void FirePin()
    {
        if (!_pin || _isIntxDisabled || _isHeld || _isAsleep || _isResetting || _changing == Intx || _kinds[Intx].Length == 0)
            return;
        ref InterruptVector state = ref _kinds[Intx][0];
        if (state.Trigger is null || state.IsMasked)
            return;
        state.IsMaskedByRequest = true;
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

    private void FlushUnlessLocked()
    {
        if (!_hasReady)
            return;
        // The thread that holds the lock releases it before it checks what is ready. Here the order is the reverse, so one of both sees it.
        Interlocked.MemoryBarrier();
        if (!_functionLock.IsTaken)
            Flush();
    }

    private ulong Collect(InterruptIndex index, int first, Func<InterruptVector, bool> test)
    {
        ulong bits = 0;
        lock (_lock)
        {
            InterruptVector[] vectors = _kinds[index.Value];
            for (int i = first; i < Math.Min(vectors.Length, first + 64); i++)
                bits |= test(vectors[i]) ? 1UL << (i - first) : 0;
        }

        return bits;
    }
}
