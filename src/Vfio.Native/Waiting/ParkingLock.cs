namespace Vfio.Native.Waiting;

/// <summary>A lock, and a place to sleep until another thread changes what it guards.</summary>
/// <remarks>Uncontended, it is taken and released by one atomic operation each, without a call into the runtime: a session does that four
/// times a message. Not re-entrant: a thread that has the lock and takes it again waits for ever.</remarks>
internal sealed class ParkingLock
{
    private const int Free = 0, Taken = 1, Contended = 2;

    private readonly object _entrance = new();
    private readonly object _sleep = new();
    private int _state;
    private int _sleepers;

    /// <summary>Whether a thread has it.</summary>
    public bool IsTaken => Volatile.Read(ref _state) != Free;

    /// <summary>Takes the lock; disposing the result releases it.</summary>
    public Scope Enter()
    {
        Take();
        return new Scope(this);
    }

    /// <summary>Takes the lock until <see cref="Leave"/>.</summary>
    public void Take()
    {
        if (Interlocked.CompareExchange(ref _state, Taken, Free) != Free)
            TakeLater();
    }

    /// <summary>Releases the lock.</summary>
    public void Leave()
    {
        if (Interlocked.Exchange(ref _state, Free) == Contended)
            WakeNext();
    }

    /// <summary>Releases the lock, sleeps until <see cref="WakeAll"/> or a deadline, and takes the lock again.</summary>
    /// <param name="until">The deadline.</param>
    public void Sleep(Deadline until)
    {
        lock (_sleep)
        {
            // A thread that takes the lock now sees a sleeper, and cannot wake it before it sleeps.
            _sleepers++;
            Leave();
            Monitor.Wait(_sleep, until.Left);
        }

        Take();
        _sleepers--;
    }

    /// <summary>Wakes all that sleep; called with the lock held.</summary>
    public void WakeAll()
    {
        if (_sleepers > 0)
            WakeSleepers();
    }

    private void WakeSleepers()
    {
        lock (_sleep)
            Monitor.PulseAll(_sleep);
    }

    private void TakeLater()
    {
        lock (_entrance)
        {
            // A thread that gets the lock this way releases it as a contended one, because others may wait.
            while (Interlocked.Exchange(ref _state, Contended) != Free)
                Monitor.Wait(_entrance);
        }
    }

    private void WakeNext()
    {
        lock (_entrance)
            Monitor.Pulse(_entrance);
    }

    /// <summary>The lock as it is held; disposing this releases it.</summary>
    public readonly ref struct Scope
    {
        private readonly ParkingLock _lock;

        internal Scope(ParkingLock gate) => _lock = gate;

        /// <summary>Releases the lock.</summary>
        public void Dispose() => _lock.Leave();
    }
}
