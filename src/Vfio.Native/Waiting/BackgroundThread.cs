namespace Vfio.Native.Waiting;

/// <summary>A thread that does not keep the process alive, and that whoever ends it waits for, also when that is the thread
/// itself.</summary>
internal sealed class BackgroundThread
{
    private readonly Thread _thread;

    /// <summary>Starts it.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="body">What it does; what this throws ends the process.</param>
    public BackgroundThread(string name, ThreadStart body)
    {
        _thread = new Thread(body) { IsBackground = true, Name = name };
        _thread.Start();
    }

    /// <summary>Waits for its end, which a system call may delay: at most for a time.</summary>
    /// <returns>False when it has not ended.</returns>
    public bool Join(TimeSpan timeout) => _thread == Thread.CurrentThread || _thread.Join(timeout);

    /// <summary>Returns when it has ended; at once when the thread calls this itself, because its last call may be to code that disposes
    /// it.</summary>
    public void Join()
    {
        if (_thread != Thread.CurrentThread)
            _thread.Join();
    }
}
