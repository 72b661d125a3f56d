namespace Vfio.Native.Waiting;

/// <summary>A descriptor that an <see cref="EventLoop"/> calls back for, until this is disposed.</summary>
/// <remarks>Any thread may use it.</remarks>
internal sealed class EventRegistration : IDisposable
{
    private readonly EventLoop _loop;
    private readonly FileDescriptor _held;
    private FileDescriptor? _copy;

    internal EventRegistration(EventLoop loop, ulong token, FileDescriptor descriptor, Action<EventRegistration> callback)
    {
        (_loop, Token, _held, Callback) = (loop, token, descriptor, callback);

        // Closed while it is watched, its number could become another file's.
        bool isHeld = false;
        descriptor.DangerousAddRef(ref isHeld);
    }

    internal ulong Token { get; }

    internal Action<EventRegistration> Callback { get; }

    /// <summary>What is watched.</summary>
    internal FileDescriptor Descriptor => _copy ?? _held;

    /// <summary>Lets a registration of <see cref="EventLoop.AddOnce"/> be called back once more; nothing when it has ended.</summary>
    /// <exception cref="VfioException">The kernel refused.</exception>
    public void Arm() => _loop.Arm(this);

    /// <summary>Ends it, without waiting for a callback that runs: for a caller with a lock that the callback takes.</summary>
    public void Cancel() => _loop.Remove(this, waits: false);

    /// <summary>Ends it. When it returns the callback does not run, and never will again, unless this is called by it.</summary>
    public void Dispose() => _loop.Remove(this, waits: true);

    internal void Watch(Epoll epoll, Epoll.Mode mode)
    {
        try
        {
            epoll.Add(_held, Token, mode);
        }
        catch (VfioException refusal) when (refusal.Errno == Errno.Exists)
        {
            // The kernel identifies what it watches by file and number, and this number is watched already.
            _copy = _held.Duplicate();
            epoll.Add(_copy, Token, mode);
        }
    }

    /// <summary>Lets go of the descriptor; once.</summary>
    internal void Release()
    {
        _copy?.Dispose();
        _held.DangerousRelease();
    }
}
