using System.Runtime.ExceptionServices;

namespace Vfio.Native.Waiting;

/// <summary>One thread that calls back when descriptors become readable.</summary>
/// <remarks>
/// <para>The thread, and the two descriptors that it needs, come with the first registration. Callbacks run one at a time.</para>
/// <para>A callback that throws ends its own registration and no other. What it threw goes to whoever made the loop; where nobody wants
/// it, it ends the process, as an exception of any thread does.</para>
/// <para>Any thread may use it. Who holds a lock that a callback takes does not wait for that callback: not by
/// <see cref="EventRegistration.Dispose"/>, <see cref="Pause"/> or <see cref="Dispose"/>.</para>
/// </remarks>
/// <param name="name">The thread's name.</param>
/// <param name="failed">Called by the thread with what a callback threw; null to end the process.</param>
/// <param name="maxRegistrations">How many registrations there may be at a time.</param>
internal sealed class EventLoop(string name, Action<Exception>? failed = null, int maxRegistrations = int.MaxValue) : IDisposable
{
    private const int ReportsAtOnce = 64;
    private const ulong WakeToken = 0;
    private readonly object _lock = new();
    private readonly Dictionary<ulong, EventRegistration> _registrations = [];
    private Epoll? _epoll;
    private EventFd? _wake;
    private Thread? _thread;
    private EventRegistration? _running;
    private ulong _lastToken = WakeToken;
    private bool _isPaused;
    private volatile bool _isDisposed;

    /// <summary>Whether the calling thread is the loop's: it is inside of a callback.</summary>
    public bool IsCurrentThread => _thread == Thread.CurrentThread;

    /// <summary>Calls back for as long as a descriptor is readable, or its peer has gone: the callback reads it, or ends the
    /// registration.</summary>
    /// <param name="descriptor">Stays open for as long as it is registered.</param>
    /// <param name="callback">What is called, with the registration.</param>
    /// <exception cref="VfioException">ENOSPC: there are as many registrations as there may be; or what the kernel refused.</exception>
    public EventRegistration Add(FileDescriptor descriptor, Action<EventRegistration> callback) =>
        Add(descriptor, Epoll.Mode.Level, callback);

    /// <summary>Calls back when an eventfd is signalled: once for all signals since the last time, also when they came before. Nobody has
    /// to read the counter, so whoever else holds the eventfd cannot keep the thread busy but by signalling it.</summary>
    /// <inheritdoc cref="Add(FileDescriptor, Action{EventRegistration})"/>
    public EventRegistration Add(EventFd signal, Action<EventRegistration> callback)
    {
        ArgumentNullException.ThrowIfNull(signal);
        return Add(signal.Descriptor, Epoll.Mode.Edge, callback);
    }

    /// <summary>Calls back once when a descriptor is readable, and again after each <see cref="EventRegistration.Arm"/>.</summary>
    /// <inheritdoc cref="Add(FileDescriptor, Action{EventRegistration})"/>
    public EventRegistration AddOnce(FileDescriptor descriptor, Action<EventRegistration> callback) =>
        Add(descriptor, Epoll.Mode.Once, callback);

    /// <summary>Calls back once, when a socket is shut down by either end, whatever may be read from it.</summary>
    /// <inheritdoc cref="Add(FileDescriptor, Action{EventRegistration})"/>
    public EventRegistration AddHangup(FileDescriptor descriptor, Action<EventRegistration> callback) =>
        Add(descriptor, Epoll.Mode.Hangup, callback);

    /// <summary>Stops calling back. When it returns no callback runs, unless a callback calls this.</summary>
    /// <remarks>What becomes readable is left as it is, and called back for after <see cref="Resume"/>.</remarks>
    public void Pause()
    {
        lock (_lock)
        {
            _isPaused = true;
            WaitWhile(static (loop, _) => loop._running is not null, null);
        }
    }

    /// <summary>Calls back again.</summary>
    public void Resume()
    {
        lock (_lock)
        {
            _isPaused = false;
            Monitor.PulseAll(_lock);
        }
    }

    /// <summary>Ends all registrations, and the thread. When it returns no callback runs or ever will, but for one that calls this.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            if (!_isDisposed)
            {
                _isDisposed = true;
                Monitor.PulseAll(_lock);
                if (_thread is null)
                    Close();
                else
                    _wake!.Signal();
            }
        }

        if (!IsCurrentThread)
            _thread?.Join();
    }

    internal void Arm(EventRegistration registration)
    {
        lock (_lock)
        {
            if (_registrations.ContainsKey(registration.Token))
                _epoll!.Arm(registration.Descriptor, registration.Token);
        }
    }

    internal void Remove(EventRegistration registration, bool waits)
    {
        lock (_lock)
        {
            if (_registrations.Remove(registration.Token))
            {
                try
                {
                    _epoll!.Remove(registration.Descriptor);
                }
                finally
                {
                    registration.Release();
                }
            }

            if (waits)
                WaitWhile(static (loop, registration) => loop._running == registration, registration);
        }
    }

    private EventRegistration Add(FileDescriptor descriptor, Epoll.Mode mode, Action<EventRegistration> callback)
    {
        ArgumentNullException.ThrowIfNull(descriptor);
        ArgumentNullException.ThrowIfNull(callback);
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (_registrations.Count >= maxRegistrations)
                throw new VfioException("watching of a descriptor", name, Errno.NoSpace, $"{maxRegistrations} are watched already");
            Start();
            EventRegistration registration = new(this, ++_lastToken, descriptor, callback);
            try
            {
                registration.Watch(_epoll!, mode);
            }
            catch
            {
                registration.Release();
                throw;
            }

            _registrations.Add(registration.Token, registration);
            return registration;
        }
    }

    private void Start()
    {
        if (_thread is not null)
            return;
        _epoll ??= new Epoll();
        if (_wake is null)
        {
            EventFd wake = EventFd.Create();
            _epoll.Add(wake.Descriptor, WakeToken, Epoll.Mode.Level);
            _wake = wake;
        }

        _thread = new Thread(Run) { IsBackground = true, Name = name };
        _thread.Start();
    }

    private void Run()
    {
        ulong[] tokens = new ulong[ReportsAtOnce];
        while (!_isDisposed)
        {
            int count = _epoll!.Wait(tokens, Timeout.InfiniteTimeSpan);
            foreach (ulong token in tokens.AsSpan(0, count))
            {
                if (Begin(token) is { } registration)
                    Call(registration);
            }
        }

        Close();
    }

    /// <summary>The registration of a report; its callback counts as running from here on.</summary>
    /// <returns>Null when it is no longer registered.</returns>
    private EventRegistration? Begin(ulong token)
    {
        lock (_lock)
        {
            while (_isPaused && !_isDisposed)
                Monitor.Wait(_lock);
            return _running = _isDisposed ? null : _registrations.GetValueOrDefault(token);
        }
    }

    private void Call(EventRegistration registration)
    {
        try
        {
            registration.Callback(registration);
        }
        catch (Exception exception)
        {
            // Its descriptor may be readable still, and would be reported again and again.
            registration.Cancel();
            if (failed is not null)
                failed(exception);
            else
                ThreadPool.UnsafeQueueUserWorkItem(ExceptionDispatchInfo.Throw, exception, preferLocal: false);
        }
        finally
        {
            lock (_lock)
            {
                _running = null;
                Monitor.PulseAll(_lock);
            }
        }
    }

    /// <summary>Waits inside the lock for what the loop's thread does, unless it is the one that waits.</summary>
    private void WaitWhile(Func<EventLoop, EventRegistration?, bool> isBusy, EventRegistration? registration)
    {
        while (!IsCurrentThread && isBusy(this, registration))
            Monitor.Wait(_lock);
    }

    private void Close()
    {
        lock (_lock)
        {
            foreach (EventRegistration registration in _registrations.Values)
                registration.Release();
            _registrations.Clear();
        }

        _epoll?.Dispose();
        _wake?.Dispose();
    }
}
