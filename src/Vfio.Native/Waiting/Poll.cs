using Vfio.Native.Interop;

namespace Vfio.Native.Waiting;

/// <summary>Waits for descriptors to become ready.</summary>
internal static class Poll
{
    /// <summary>Largest number of descriptors in one wait.</summary>
    public const int MaxDescriptors = 64;

    /// <summary>Whether a read, or a write, would not block now.</summary>
    public static unsafe bool IsReady(FileDescriptor descriptor, bool forWriting)
    {
        ArgumentNullException.ThrowIfNull(descriptor);
        LibC.PollEntry entry = new() { Descriptor = descriptor.Number, Events = forWriting ? LibC.POLLOUT : LibC.POLLIN };
        return LibC.poll(&entry, 1, 0) > 0 && (entry.Returned & entry.Events) != 0;
    }

    /// <summary>Whether a socket's peer has closed it, whatever may still be read from it.</summary>
    public static unsafe bool IsHungUp(FileDescriptor socket)
    {
        ArgumentNullException.ThrowIfNull(socket);
        LibC.PollEntry entry = new() { Descriptor = socket.Number };
        return LibC.poll(&entry, 1, 0) > 0;
    }

    /// <summary>Waits until the descriptor is readable or its peer has gone.</summary>
    /// <returns>False when the time ran out, or a signal came.</returns>
    public static unsafe bool WaitReadable(FileDescriptor descriptor, TimeSpan timeout)
    {
        ArgumentNullException.ThrowIfNull(descriptor);
        LibC.PollEntry entry = new() { Descriptor = descriptor.Number, Events = LibC.POLLIN };
        return LibC.poll(&entry, 1, Milliseconds(timeout)) > 0;
    }

    /// <summary>Waits until a write to the descriptor would not block, or its peer has gone.</summary>
    /// <returns>False when the time ran out, or a signal came.</returns>
    public static unsafe bool WaitWritable(FileDescriptor descriptor, TimeSpan timeout)
    {
        ArgumentNullException.ThrowIfNull(descriptor);
        LibC.PollEntry entry = new() { Descriptor = descriptor.Number, Events = LibC.POLLOUT };
        return LibC.poll(&entry, 1, Milliseconds(timeout)) > 0;
    }

    /// <summary>Waits until the descriptor is readable, or a write would not block, or its peer has gone.</summary>
    /// <returns>Which of the two; neither when the time ran out, or a signal came.</returns>
    public static unsafe (bool Readable, bool Writable) WaitEither(FileDescriptor descriptor, TimeSpan timeout)
    {
        ArgumentNullException.ThrowIfNull(descriptor);
        LibC.PollEntry entry = new() { Descriptor = descriptor.Number, Events = LibC.POLLIN | LibC.POLLOUT };
        if (LibC.poll(&entry, 1, Milliseconds(timeout)) <= 0)
            return (false, false);
        bool gone = (entry.Returned & (LibC.POLLERR | LibC.POLLHUP)) != 0;
        return ((entry.Returned & LibC.POLLIN) != 0 || gone, (entry.Returned & LibC.POLLOUT) != 0 || gone);
    }

    /// <summary>Waits until one of several descriptors is readable.</summary>
    /// <param name="descriptors">At most <see cref="MaxDescriptors"/>.</param>
    /// <param name="ready">As long as <paramref name="descriptors"/>; set true where one is readable or its peer has gone.</param>
    /// <param name="timeout">How long; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    /// <returns>How many are ready; 0 when the time ran out or a signal came.</returns>
    public static unsafe int WaitAny(ReadOnlySpan<FileDescriptor> descriptors, Span<bool> ready, TimeSpan timeout)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(descriptors.Length, MaxDescriptors);
        ArgumentOutOfRangeException.ThrowIfLessThan(ready.Length, descriptors.Length);
        LibC.PollEntry* entries = stackalloc LibC.PollEntry[MaxDescriptors];
        for (int i = 0; i < descriptors.Length; i++)
            entries[i] = new() { Descriptor = descriptors[i].Number, Events = LibC.POLLIN };
        int count = LibC.poll(entries, (nuint)descriptors.Length, Milliseconds(timeout));
        for (int i = 0; i < descriptors.Length; i++)
            ready[i] = count > 0 && entries[i].Returned != 0;
        return Math.Max(0, count);
    }

    /// <summary>Waits until a socket's peer has closed it, whatever may be read from it.</summary>
    /// <param name="socket">A connected socket.</param>
    /// <param name="end">Ends the wait when it is readable.</param>
    /// <returns>False when <paramref name="end"/> was readable.</returns>
    public static unsafe bool WaitClosed(FileDescriptor socket, FileDescriptor end)
    {
        ArgumentNullException.ThrowIfNull(socket);
        ArgumentNullException.ThrowIfNull(end);
        LibC.PollEntry* entries = stackalloc LibC.PollEntry[2];
        while (true)
        {
            // A hangup is reported without being asked for.
            entries[0] = new() { Descriptor = socket.Number };
            entries[1] = new() { Descriptor = end.Number, Events = LibC.POLLIN };
            if (LibC.poll(entries, 2, -1) <= 0)
                continue;
            if (entries[1].Returned != 0)
                return false;
            if (entries[0].Returned != 0)
                return true;
        }
    }

    /// <summary>A timeout as poll(2) and epoll_wait(2) take it: rounded up, and at most 24.8 days.</summary>
    internal static int Milliseconds(TimeSpan timeout)
    {
        if (timeout == Timeout.InfiniteTimeSpan)
            return -1;
        Deadline.ThrowIfInvalid(timeout);
        return (int)Math.Min(int.MaxValue, Deadline.CeilingMilliseconds(timeout));
    }
}
