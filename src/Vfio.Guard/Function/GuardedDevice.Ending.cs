using Vfio.Guard.Config;
using Vfio.Guard.Shared;
using Vfio.Native;

namespace Vfio.Guard.Function;

/// <content>Resets, whoever makes them, and the end of the lease.</content>
internal sealed partial class GuardedDevice
{
    private readonly TaskCompletionSource _removed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes when the owner unplugs the function.</summary>
    public Task Removed => _removed.Task;

    /// <summary>Closes: the user's hold on the system ends first, then the device is made quiet.</summary>
    public void Dispose()
    {
        _removed.TrySetCanceled();
        Close(Closed);
    }

    /// <summary>As <see cref="Dispose"/>, by the owner: to its user the device is gone.</summary>
    internal void TakeAway()
    {
        try
        {
            Close(Closed | TakenAway);
        }
        finally
        {
            _removed.TrySetResult();
        }
    }

    private void Close(int end)
    {
        CloseSteps steps = new();
        using (FunctionLock.Scope held = _functionLock.Take())
        {
            if (!TryClose(steps, end))
                return;
            steps.Do(_messages.Program);
            _function.TakeBack(steps);
            steps.Do(_migration.AfterReset);
            _function.CloseFailure = steps.Failure;
        }

        CloseDoorbells(steps);
        steps.ThrowFault();
    }

    void IResetTarget.ResetByUser(ResetMethod method)
    {
        // A genuine state is never in the middle of a reset, so this one is forged.
        if (_migration.IsRestoring)
            return;
        ResetBy(() => _function.ResetHardware(method, isAssigned: true), byUser: true);
        _migration.AfterReset();
    }

    void IResetTarget.RestoreLost()
    {
        _owner.RestoreLost();
        _messages.Program();
    }

    /// <summary>Any thread may call it.</summary>
    public void FoundReset()
    {
        _command.StopBusMaster();
        Interlocked.Or(ref _attention, WasReset);
    }

    /// <summary>Restores everything as at open, except eventfds and mappings, which stay.</summary>
    private void ResetAll() => ResetBy(() => _function.ResetHardware(isAssigned: true), byUser: false);

    /// <summary>Makes a reset, or finishes one that was made, with the guard's own state before and after it.</summary>
    private void ResetBy(Func<Errno> reset, bool byUser, bool isDone = false)
    {
        _command.StopBusMaster();
        _interrupts.BeginReset(isDone);
        if (_doorbells.IsValueCreated)
            _doorbells.Value.Forget();
        try
        {
            Settle(reset(), byUser);
        }
        finally
        {
            _interrupts.EndReset();
        }
    }

    /// <summary>Finishes a reset: restores the owner's and the guard's settings, or throws its failure.</summary>
    private void Settle(Errno error, bool byUser)
    {
        _bars.Reset();
        _config.Reset(byUser);
        if (error != Errno.None)
            throw new VfioException("reset", Name, error);
        _messages.Program();
    }

    /// <summary>Restores, before an access, what a reset of the function's own has cleared.</summary>
    private void Attend()
    {
        CheckOpen();
        Interlocked.And(ref _attention, ~WasReset);
        bool isDone = false;
        try
        {
            ResetBy(() => _owner.Restore(isAssigned: true), byUser: false, isDone: true);
            _migration.AfterReset();
            isDone = true;
        }
        finally
        {
            if (!isDone)
                Interlocked.Or(ref _attention, WasReset);
        }
    }

    /// <summary>Ends the user's interrupts and mappings; under the lock.</summary>
    /// <returns>False when that was done before.</returns>
    private bool TryClose(CloseSteps steps, int end = Closed)
    {
        if (IsClosed)
            return false;
        Interlocked.Or(ref _attention, end);
        steps.Do(_command.StopBusMaster);
        steps.Do(_interrupts.Dispose);
        steps.Do(_dma.Clear);
        if (_doorbells.IsValueCreated)
            steps.Do(_doorbells.Value.Stop);
        return true;
    }

    /// <summary>Closes the doorbells; without the lock.</summary>
    private void CloseDoorbells(CloseSteps steps)
    {
        if (_doorbells.IsValueCreated)
            steps.Do(_doorbells.Value.Close);
    }
}
