using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.Guard.Shared;

/// <summary>The function is called by one thread at a time: the one whose turn it is.</summary>
/// <remarks>Interrupts that come during a turn, from whichever thread, are signalled when it has ended, so that whoever they wake does not
/// run into it. Not re-entrant.</remarks>
internal sealed class FunctionLock
{
    private readonly ParkingLock _lock = new();
    private Action? _afterwards;

    /// <summary>Whether it is somebody's turn: what is ready now is signalled after it.</summary>
    internal bool IsTaken => _lock.IsTaken;

    /// <summary>Sets what is done after each turn, outside of it.</summary>
    internal void SetAfterwards(Action? afterwards) => _afterwards = afterwards;

    /// <summary>Waits for the turn; it ends when the result is disposed.</summary>
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

    internal readonly ref struct Scope(FunctionLock turn)
    {
        public void Dispose() => turn.End();
    }
}
