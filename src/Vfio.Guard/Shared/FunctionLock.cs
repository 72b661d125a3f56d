using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.Guard.Shared;

/// <summary>The lock of a guarded function: one thread at a time calls the function.</summary>
/// <remarks>Interrupts that come while it is held, from any thread, are signalled after its release, so the thread that an interrupt
/// wakes does not wait for the lock. Not re-entrant.</remarks>
internal sealed class FunctionLock
{
    private readonly ParkingLock _lock = new();
    private Action? _afterwards;

    /// <summary>Whether a thread holds it. Interrupts that are ready then are signalled after its release.</summary>
    internal bool IsTaken => _lock.IsTaken;

    /// <summary>Sets the action that is called after each release, without the lock.</summary>
    internal void SetAfterwards(Action? afterwards) => _afterwards = afterwards;

    /// <summary>Waits for the lock; disposing the result releases it.</summary>
    internal Scope Take()
    {
        _lock.Take();
        return new Scope(this);
    }

    private void End()
    {
        Action? afterwards = _afterwards;
        _lock.Leave();
        afterwards?.Invoke();
    }

    internal readonly ref struct Scope(FunctionLock functionLock)
    {
        public void Dispose() => functionLock.End();
    }
}
