using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.Providers;

/// <summary>Stands between a device's interrupts and who waits for them: the device signals eventfds of this, and each signal is passed on,
/// or not.</summary>
/// <remarks>Any thread may call it; requests are made one at a time.</remarks>
/// <param name="inner">The device.</param>
/// <param name="threadName">The name of the thread that passes signals on.</param>
/// <param name="delay">Called for each signal, before it is passed on: how late it is to come; null for never.</param>
/// <param name="clock">What the delay is measured by.</param>
internal sealed class InterruptTap(
    IVfioDevice inner, string threadName, Func<InterruptIndex, int, TimeSpan?> delay, TimeProvider clock) : IDisposable
{
    private readonly Lock _lock = new();
    private readonly EventLoop _loop = new(threadName);
    private readonly Dictionary<(InterruptIndex Index, int Vector), Line> _lines = [];

    /// <summary>Does a request at the device, with eventfds of this in place of the caller's.</summary>
    /// <exception cref="VfioException">The device's refusal, which leaves everything as it was; EINVAL: a descriptor is no eventfd.</exception>
    internal void Set(in InterruptRequest request)
    {
        lock (_lock)
        {
            if (request.IsDisable)
            {
                inner.SetInterrupts(request);
                InterruptIndex index = request.Index;
                foreach ((InterruptIndex, int) key in _lines.Keys.Where(key => key.Index == index).ToArray())
                    Replace(key, null);
            }
            else if (request is { Action: InterruptAction.Trigger, Data: InterruptData.Events })
            {
                Bind(request);
            }
            else
            {
                inner.SetInterrupts(request);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            foreach ((InterruptIndex, int) key in _lines.Keys.ToArray())
                Replace(key, null);
        }

        _loop.Dispose();
    }

    private void Bind(in InterruptRequest request)
    {
        Line?[] lines = new Line?[request.Count];
        try
        {
            FileDescriptor?[] events = new FileDescriptor?[request.Count];
            for (int i = 0; i < lines.Length; i++)
            {
                if (request.Events[i] is not { } wanted)
                    continue;
                lines[i] = new Line(request.Index, request.Start + i, wanted, inner.Name);
                events[i] = lines[i]!.Device.Descriptor;
            }

            inner.SetInterrupts(InterruptRequest.Bind(request.Index, InterruptAction.Trigger, request.Start, events));
            for (int i = 0; i < lines.Length; i++)
            {
                Replace((request.Index, request.Start + i), lines[i]);
                lines[i] = null;
            }
        }
        finally
        {
            foreach (Line? unused in lines)
                unused?.Dispose();
        }
    }

    private void Replace((InterruptIndex, int) key, Line? line)
    {
        if (_lines.Remove(key, out Line? old))
        {
            // Who waits for the old eventfd gets what the device had signalled by now.
            old.Registration?.Dispose();
            if (old.Device.Drain() != 0)
                PassOn(old);
            old.Dispose();
        }

        if (line is null)
            return;
        _lines.Add(key, line);
        line.Registration = _loop.Add(line.Device, _ =>
        {
            line.Device.Drain();
            PassOn(line);
        });
    }

    private void PassOn(Line line)
    {
        if (delay(line.Index, line.Vector) is not { } late)
            return;
        if (late == TimeSpan.Zero)
            line.User.Signal();
        else if (EventFd.TryHold(line.User.Descriptor) is { } user)
            _ = SignalAsync(user, late);
    }

    private async Task SignalAsync(EventFd user, TimeSpan late)
    {
        using (user)
        {
            await Task.Delay(late, clock).ConfigureAwait(false);
            user.Signal();
        }
    }

    /// <summary>One bound vector.</summary>
    private sealed class Line : IDisposable
    {
        internal Line(InterruptIndex index, int vector, FileDescriptor user, string device)
        {
            (Index, Vector) = (index, vector);
            User = EventFd.TryHold(user)
                ?? throw new VfioException("binding an interrupt", device, Errno.InvalidArgument, "the descriptor is no eventfd");
            Device = EventFd.Create();
        }

        internal InterruptIndex Index { get; }

        internal int Vector { get; }

        internal EventFd Device { get; }

        internal EventFd User { get; }

        internal EventRegistration? Registration { get; set; }

        /// <inheritdoc/>
        public void Dispose()
        {
            Device.Dispose();
            User.Dispose();
        }
    }
}
