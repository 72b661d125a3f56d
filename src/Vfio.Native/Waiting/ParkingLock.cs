namespace Vfio.Native.Waiting;

/// <summary>A lock, and a place to sleep until another thread changes what it guards.</summary>
/// <remarks>Free, it is taken and left by one atomic operation each, without a call into the runtime: a session does that four times a
/// message. Not re-entrant: who is inside and enters again waits for ever.</remarks>
internal sealed class ParkingLock
{
    private const int Free = 0, Taken = 1, Wanted = 2;

    private readonly object _entrance = new();
    private readonly object _bed = new();
    private int _state;
    private int _sleepers;

    /// <summary>Whether somebody is inside.</summary>
    public bool IsTaken => Volatile.Read(ref _state) != Free;

    /// <summary>Enters; the result leaves when it is disposed.</summary>
    public Scope Enter()
    {
        Take();
        return new Scope(this);
    }

    /// <summary>Enters until <see cref="Leave"/>.</summary>
    public void Take()
    {
        if (Interlocked.CompareExchange(ref _state, Taken, Free) != Free)
            TakeLater();
    }

    /// <summary>Leaves.</summary>
    public void Leave()
    {
        if (Interlocked.Exchange(ref _state, Free) == Wanted)
            LetIn();
    }

    /// <summary>Leaves, sleeps until <see cref="WakeAll"/> or a moment, and enters again.</summary>
    /// <param name="until">The moment.</param>
    public void Sleep(Deadline until)
    {
        lock (_bed)
        {
            // Whoever enters now sees a sleeper, and cannot wake it before it sleeps.
            _sleepers++;
            Leave();
            Monitor.Wait(_bed, until.Left);
        }

        Take();
        _sleepers--;
    }

    /// <summary>Wakes all that sleep; called inside.</summary>
    public void WakeAll()
    {
        if (_sleepers > 0)
            Rouse();
    }

    private void Rouse()
    {
        lock (_bed)
            Monitor.PulseAll(_bed);
    }

    private void TakeLater()
    {
        lock (_entrance)
        {
            // Who gets in this way leaves as if others waited, for perhaps they do.
            while (Interlocked.Exchange(ref _state, Wanted) != Free)
                Monitor.Wait(_entrance);
        }
    }

    private void LetIn()
    {
        lock (_entrance)
            Monitor.Pulse(_entrance);
    }

    /// <summary>A stay inside, which ends when it is disposed.</summary>
    public readonly ref struct Scope
    {
        private readonly ParkingLock _lock;

        internal Scope(ParkingLock gate) => _lock = gate;

        /// <summary>Leaves.</summary>
        public void Dispose() => _lock.Leave();
    }
}
