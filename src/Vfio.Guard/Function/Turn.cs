namespace Vfio.Guard;

/// <summary>The function is called by one thread at a time: the one whose turn it is.</summary>
/// <remarks>Interrupts that a turn causes are signalled when it has ended, so that whoever they wake does not run into it.</remarks>
internal sealed class Turn
{
    private readonly Lock _lock = new();
    private Action? _afterwards;

    internal bool IsMine => _lock.IsHeldByCurrentThread;

    /// <summary>Sets what is done after each turn, outside of it.</summary>
    internal void SetAfterwards(Action? afterwards) => _afterwards = afterwards;

    /// <summary>Waits for the turn; it ends when the result is disposed.</summary>
    internal Scope Take()
    {
        _lock.Enter();
        return new Scope(this);
    }

    private void End()
    {
        Action? afterwards = _afterwards;
        _lock.Exit();
        afterwards?.Invoke();
    }

    internal readonly ref struct Scope(Turn turn)
    {
        public void Dispose() => turn.End();
    }
}
