using System.Runtime.InteropServices;

namespace Vfio.Native;

/// <summary>An eventfd: a 64-bit counter that one side adds to and the other waits for.</summary>
/// <remarks>Safe to signal and to wait for from any thread. See eventfd(2).</remarks>
public sealed class EventFd : IDisposable
{
    private const string EventFdLink = "anon_inode:[eventfd]";
    private readonly bool _mayBlock;
    private int _begun;
    private int _ended;
    private (int Begun, int Ended) _lastLook;
    private int _disposed;

    private EventFd(FileDescriptor descriptor, bool mayBlock)
    {
        bool held = false;
        descriptor.DangerousAddRef(ref held);
        Descriptor = descriptor;
        _mayBlock = mayBlock;
        if (mayBlock)
            StuckSignals.Watch(this);
    }

    /// <summary>The descriptor, to be passed to a device; open for as long as this object is.</summary>
    public FileDescriptor Descriptor { get; }

    /// <summary>Makes a new one: counter 0, non-blocking, close-on-exec.</summary>
    /// <exception cref="VfioException">The process has no descriptors left (EMFILE).</exception>
    public static EventFd Create()
    {
        int number = LibC.eventfd(0, LibC.EFD_CLOEXEC | LibC.EFD_NONBLOCK);
        if (number < 0)
            throw VfioException.FromLastError("eventfd", "this process", "raise the limit on open files (ulimit -n)");
        using FileDescriptor descriptor = new(number);
        return new EventFd(descriptor, mayBlock: false);
    }

    /// <summary>Holds a descriptor that somebody gave, if it is an eventfd.</summary>
    /// <remarks>Anything else would let its giver block the thread that signals it. The giver may dispose its own object
    /// at once: the descriptor stays open until this object is disposed too.</remarks>
    /// <returns>Null when the descriptor is no eventfd.</returns>
    public static EventFd? TryHold(FileDescriptor descriptor)
    {
        ArgumentNullException.ThrowIfNull(descriptor);
        string? link = File.ResolveLinkTarget($"/proc/self/fd/{descriptor.Number}", returnFinalTarget: false)?.Name;
        if (link != EventFdLink)
            return null;
        int flags = LibC.fcntl(descriptor.Number, LibC.F_GETFL, 0);
        return flags < 0 ? null : new EventFd(descriptor, mayBlock: (flags & LibC.O_NONBLOCK) == 0);
    }

    /// <summary>Adds one to the counter and wakes who waits. A full counter stays full, and ends no more than a moment of this
    /// thread's time.</summary>
    public void Signal()
    {
        // The giver chose whether writes block and may have filled the counter; its flags are not ours to change,
        // because they are shared with it.
        if (!_mayBlock)
        {
            Add(1);
        }
        else if (!StuckSignals.AskFirst || Poll.IsReady(Descriptor, forWriting: true))
        {
            // It may have been filled since it was asked.
            Interlocked.Increment(ref _begun);
            Add(1);
            Interlocked.Increment(ref _ended);
        }
    }

    /// <summary>Whether a signal is under way that was so the last time already; for one thread at a time.</summary>
    internal bool IsStuck()
    {
        (int Begun, int Ended) now = (Volatile.Read(ref _begun), Volatile.Read(ref _ended));
        bool isStuck = now == _lastLook && now.Begun != now.Ended;
        _lastLook = now;
        return isStuck;
    }

    /// <summary>Takes the counter and sets it to zero.</summary>
    /// <returns>How often it was signalled since the last time; 0 when it was not.</returns>
    public ulong Drain() => !_mayBlock || Poll.IsReady(Descriptor, forWriting: false) ? Read() : 0;

    /// <summary>Waits until it is signalled, and drains it.</summary>
    /// <param name="timeout">How long; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    /// <returns>False when the time ran out first.</returns>
    /// <remarks>Two system calls, one to sleep and one to drain; one when it only asks. A read that sleeps would be one, but needs a
    /// descriptor that blocks, and then whoever signals it would have to ask first whether it may. <see cref="EventSleep"/> takes one,
    /// and leaves the counter alone.</remarks>
    public bool Wait(TimeSpan timeout)
    {
        if (timeout == TimeSpan.Zero)
            return Drain() != 0;
        Deadline end = new(timeout);
        do
        {
            if (Poll.WaitReadable(Descriptor, end.Left) && Drain() != 0)
                return true;
        }
        while (!end.HasPassed);
        return false;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        if (_mayBlock)
            StuckSignals.Forget(this);
        Descriptor.DangerousRelease();
    }

    /// <summary>Adds to the counter; blocks while that would fill it over, where the descriptor does.</summary>
    internal unsafe void Add(ulong amount) => _ = LibC.write(Descriptor.Number, &amount, sizeof(ulong));

    private unsafe ulong Read()
    {
        ulong count;
        return LibC.read(Descriptor.Number, &count, sizeof(ulong)) == sizeof(ulong) ? count : 0;
    }
}
