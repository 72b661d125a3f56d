using System.Runtime.InteropServices;
using Vfio.Native.Files;
using Vfio.Native.Interop;
using Vfio.Native.Waiting;

namespace Vfio.Native;

/// <summary>An eventfd: a 64-bit counter that one side adds to and the other waits for.</summary>
/// <remarks>
/// <para>Safe to signal and to wait for from any thread. See eventfd(2).</para>
/// <para>Whoever else holds it can empty and fill the counter and change O_NONBLOCK at any time, of one that this process made and
/// passed on too. So nothing here believes that flag: a read says for itself that it does not wait (RWF_NOWAIT, Linux 5.8), and a write,
/// which cannot, is one write(2) that <see cref="StuckSignals"/> ends if it waits all the same. An eventfd of which a write had to be
/// ended is written to no more: to who waits for it, a full counter says all that there is to say.</para>
/// </remarks>
public sealed class EventFd : IDisposable
{
    private static volatile bool _hasNoNowait;
    private volatile bool _isJammed;
    private int _disposed;

    private EventFd(FileDescriptor descriptor)
    {
        bool held = false;
        descriptor.DangerousAddRef(ref held);
        Descriptor = descriptor;
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
        return new EventFd(descriptor);
    }

    /// <summary>Holds a descriptor from another process, if the kernel says that it is an eventfd.</summary>
    /// <remarks>Anything else would let its giver block the thread that signals it. The giver may dispose its own object
    /// at once: the descriptor stays open until this object is disposed too.</remarks>
    /// <returns>Null when the descriptor is no eventfd.</returns>
    public static EventFd? TryHold(FileDescriptor descriptor)
    {
        ArgumentNullException.ThrowIfNull(descriptor);
        if (!DescriptorInfo.IsEventFd(descriptor))
            return null;
        descriptor.IsUnknown = false;
        return new EventFd(descriptor);
    }

    /// <summary>Adds one to the counter and wakes waiting threads. A full counter stays full, and ends no more than a moment of this
    /// thread's time, once; one that was disposed is not signalled.</summary>
    public void Signal()
    {
        StuckSignals.Caller caller = StuckSignals.Begin();
        if (!_isJammed && (!StuckSignals.AsksFirst || Poll.IsReady(Descriptor, forWriting: true))
            && Add(1) == Errno.Interrupted && caller.IsToEnd)
        {
            _isJammed = true;
            StuckSignals.BecomeWary();
        }

        caller.End();
    }

    /// <summary>Takes the counter and sets it to zero; never waits.</summary>
    /// <returns>How often it was signalled since the last time; 0 when it was not.</returns>
    public unsafe ulong Drain()
    {
        ulong count;
        LibC.IoVector vector = new() { Base = &count, Length = sizeof(ulong) };
        if (_hasNoNowait)
            return DrainWatched();
        if (LibC.preadv2(Descriptor.Number, &vector, 1, -1, LibC.RWF_NOWAIT) == sizeof(ulong))
            return count;

        // EINVAL and ENOSYS: whatever filters system calls here does not know it.
        if ((Errno)Marshal.GetLastPInvokeError() is not (Errno.NotSupported or Errno.NotImplemented or Errno.InvalidArgument or Errno.OperationNotPermitted))
            return 0;
        _hasNoNowait = true;
        return DrainWatched();
    }

    /// <summary>Waits until it is signalled, and drains it.</summary>
    /// <param name="timeout">How long; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    /// <returns>False when the time ran out first.</returns>
    /// <exception cref="ObjectDisposedException">It was disposed before.</exception>
    /// <remarks>Two system calls, one to sleep and one to drain; one when it only asks. A read that sleeps would be one, but needs a
    /// descriptor that blocks, and then whoever signals it would have to ask first whether it may. <see cref="EventSleep"/> takes one,
    /// and leaves the counter alone.</remarks>
    public bool Wait(TimeSpan timeout)
    {
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
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
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
            Descriptor.DangerousRelease();
    }

    /// <summary>Adds to the counter; waits while that would fill it over, where the descriptor does.</summary>
    internal unsafe Errno Add(ulong amount) =>
        LibC.write(Descriptor.Number, &amount, sizeof(ulong)) < 0 ? (Errno)Marshal.GetLastPInvokeError() : Errno.None;

    /// <summary>Drains it where the kernel has no RWF_NOWAIT for eventfds: as a signal does.</summary>
    private unsafe ulong DrainWatched()
    {
        if (!Poll.IsReady(Descriptor, forWriting: false))
            return 0;
        StuckSignals.Caller caller = StuckSignals.Begin();
        ulong count;
        if (LibC.read(Descriptor.Number, &count, sizeof(ulong)) != sizeof(ulong))
            count = 0;
        caller.End();
        return count;
    }
}
