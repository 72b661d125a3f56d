using System.Collections.Concurrent;
using System.Threading.Channels;
using Vfio.Native;

namespace Vfio.Kernel;

/// <summary>What happens to the PCI functions of this machine, and to the devices that this process drives: one stream of events.</summary>
/// <remarks>
/// <para>Hearing starts with the constructor, so that a program that looks at its functions after it misses nothing. No privileges are
/// needed. One thread listens, from the constructor to <see cref="Dispose"/>.</para>
/// <para>Events wait in a queue until they are read; when more than it holds are not read, one <see cref="DeviceEventKind.Lost"/> stands
/// for those that did not fit, as for those that the kernel had no room for.</para>
/// </remarks>
public sealed class DeviceEvents : IDisposable
{
    /// <summary>How many events wait to be read.</summary>
    public const int QueueLength = 1024;

    private const ulong UeventToken = 1, WakeToken = 2;
    private readonly Channel<DeviceEvent> _queue = Channel.CreateBounded<DeviceEvent>(QueueLength);
    private readonly ConcurrentDictionary<ulong, Watch> _watched = new();
    private readonly EventTranslator _translator;
    private readonly UeventSocket _socket = new();
    private readonly EventFd _wake = EventFd.Create();
    private readonly Epoll _epoll = new();
    private readonly Thread _thread;
    private ulong _lastToken = WakeToken;
    private bool _isBehind;
    private volatile bool _disposed;

    /// <summary>Starts to listen.</summary>
    /// <param name="paths">Where the kernel shows itself; null for the usual places.</param>
    /// <exception cref="VfioException">The kernel tells no events, or no descriptors are left.</exception>
    public DeviceEvents(KernelPaths? paths = null)
    {
        _translator = new EventTranslator(new PciTopology((paths ?? new KernelPaths()).Sysfs));
        _epoll.Add(_socket.Descriptor, UeventToken);
        _epoll.Add(_wake.Descriptor, WakeToken);
        _thread = new Thread(Listen) { IsBackground = true, Name = "vfio events" };
        _thread.Start();
    }

    /// <summary>Tells of a device's own signals too: <see cref="DeviceEventKind.ReturnRequested"/> when its owner wants it back (REQ),
    /// <see cref="DeviceEventKind.Error"/> when it has one (ERR). The driver then does not wait for these interrupts itself.</summary>
    /// <remarks>It ends when the device is disposed. What the lender does not signal is not told.</remarks>
    public void Listen(PciDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        if (device.Interrupts.Count(InterruptIndex.Request) > 0)
            Add(Watch.Of(device.Interrupts.EnableReturnRequest(), new DeviceEvent(DeviceEventKind.ReturnRequested, device.Name)));
        if (device.Interrupts.Count(InterruptIndex.Error) > 0)
            Add(Watch.Of(device.Interrupts.EnableError(), new DeviceEvent(DeviceEventKind.Error, device.Name)));
    }

    /// <summary>Lets a device sleep, and tells when something woke it: <see cref="DeviceEventKind.Woken"/>.</summary>
    /// <remarks>Regions must not be touched meanwhile: call <see cref="KernelDevice.ExitLowPower"/> before.</remarks>
    /// <exception cref="VfioException">ENOTTY: the kernel cannot.</exception>
    public void EnterLowPower(KernelDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        EventFd woken = EventFd.Create();
        try
        {
            device.EnterLowPower(woken);
            Add(new Watch(woken, () => device.IsDisposed, new DeviceEvent(DeviceEventKind.Woken, device.Name), isOnce: true));
        }
        finally
        {
            // The watch holds the descriptor.
            woken.Dispose();
        }
    }

    /// <summary>The events since the constructor, as they come; each is given to one reader.</summary>
    /// <param name="cancellationToken">Ends the reading; what is not read yet stays.</param>
    /// <returns>Ends when this object is disposed.</returns>
    public IAsyncEnumerable<DeviceEvent> ReadAllAsync(CancellationToken cancellationToken = default) =>
        _queue.Reader.ReadAllAsync(cancellationToken);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        _wake.Signal();
        _thread.Join();
        _queue.Writer.TryComplete();
        _epoll.Dispose();
        _socket.Dispose();
        _wake.Dispose();
        foreach (Watch watch in _watched.Values)
            watch.Dispose();
    }

    private void Add(Watch watch)
    {
        ulong token = Interlocked.Increment(ref _lastToken);
        _watched[token] = watch;
        _epoll.Add(watch.Descriptor, token);
    }

    private void Listen()
    {
        ulong[] tokens = new ulong[16];
        byte[] message = new byte[UeventSocket.MaxBytes];
        while (!_disposed)
        {
            int count = _epoll.Wait(tokens, Timeout.InfiniteTimeSpan);
            foreach (ulong token in tokens.AsSpan(0, count))
            {
                if (token == UeventToken)
                    Receive(message);
                else if (_watched.TryGetValue(token, out Watch? watch))
                    Look(token, watch);
            }
        }
    }

    private void Receive(byte[] message)
    {
        Errno error;
        do
        {
            int count = _socket.Receive(message, out error);
            if (error == Errno.NoBuffers)
                Put(new DeviceEvent(DeviceEventKind.Lost, ""));
            else if (count > 0 && Uevent.Parse(message.AsSpan(0, count)) is { } uevent && _translator.Translate(uevent) is { } found)
                Put(found);
        }
        while (error is Errno.None or Errno.NoBuffers);
        _epoll.Arm(_socket.Descriptor, UeventToken);
    }

    private void Look(ulong token, Watch watch)
    {
        bool isOver = watch.IsOver;
        if (!isOver && watch.HasCome)
            Put(watch.Event with { At = DateTimeOffset.UtcNow });
        if (!isOver && !watch.IsOnce)
        {
            _epoll.Arm(watch.Descriptor, token);
            return;
        }

        _watched.TryRemove(token, out _);
        _epoll.Remove(watch.Descriptor);
        watch.Dispose();
    }

    /// <summary>Queues an event. One that has no room is lost, and that is told with the next one that has.</summary>
    private void Put(DeviceEvent happened)
    {
        if (_isBehind && !_queue.Writer.TryWrite(new DeviceEvent(DeviceEventKind.Lost, "")))
            return;
        _isBehind = !_queue.Writer.TryWrite(happened);
    }

    /// <summary>A signal of a device; holds its descriptor open, so that no other file takes its number.</summary>
    private sealed class Watch : IDisposable
    {
        private readonly EventFd _signal;
        private readonly FileDescriptor _descriptor;
        private readonly Func<bool> _isOver;

        internal Watch(EventFd signal, Func<bool> isOver, DeviceEvent told, bool isOnce = false)
        {
            _signal = signal;
            _descriptor = signal.Descriptor;
            _isOver = isOver;
            Event = told;
            IsOnce = isOnce;
            bool held = false;
            _descriptor.DangerousAddRef(ref held);
        }

        internal DeviceEvent Event { get; }

        /// <summary>Whether it is over once it has come.</summary>
        internal bool IsOnce { get; }

        internal FileDescriptor Descriptor => _descriptor;

        internal bool IsOver => _isOver();

        internal bool HasCome => _signal.Drain() != 0;

        public void Dispose() => _descriptor.DangerousRelease();

        internal static Watch Of(Interrupt interrupt, DeviceEvent told) => new(interrupt.Event, () => interrupt.IsDisposed, told);
    }
}
