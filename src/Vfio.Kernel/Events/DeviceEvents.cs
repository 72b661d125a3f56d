using System.Threading.Channels;
using Vfio.Kernel.Binding;
using Vfio.Kernel.Events;
using Vfio.Kernel.Topology;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;

namespace Vfio.Kernel;

/// <summary>Events of the PCI functions of this machine and of the devices that this process drives, as one stream.</summary>
/// <remarks>
/// <para>Events are recorded from the constructor on: a program that lists its functions after it misses nothing. No privileges are
/// needed. One thread listens, from the constructor to <see cref="Dispose"/>.</para>
/// <para>Events wait in a queue until they are read. One <see cref="DeviceEventKind.Lost"/> replaces the events that did not fit in it, or
/// in the kernel's buffer.</para>
/// </remarks>
public sealed class DeviceEvents : IDisposable
{
    /// <summary>Capacity of the queue, in events.</summary>
    public const int QueueLength = 1024;

    /// <summary>Most messages received in a row: any process may send to the socket, and must not keep the thread from other work.</summary>
    private const int MessagesAtOnce = 64;

    private readonly Channel<DeviceEvent> _queue = Channel.CreateBounded<DeviceEvent>(QueueLength);
    private readonly EventTranslator _translator;
    private readonly UeventSocket _socket = new();
    private readonly EventLoop _loop = new("vfio events");
    private readonly byte[] _message = new byte[UeventSocket.MaxBytes];
    private bool _isBehind;

    /// <summary>Starts to listen.</summary>
    /// <param name="paths">Mount points of sysfs, procfs and devtmpfs; null for the usual ones.</param>
    /// <exception cref="VfioException">The kernel has no uevents, or no descriptors are left.</exception>
    internal DeviceEvents(KernelPaths? paths = null)
    {
        _translator = new EventTranslator(new PciTopology((paths ?? new KernelPaths()).Sysfs));
        _loop.Add(_socket.Descriptor, _ => Receive());
    }

    /// <summary>Adds a device's own signals: <see cref="DeviceEventKind.ReleaseRequested"/> (REQ) and <see cref="DeviceEventKind.Error"/>
    /// (ERR). The driver must not wait for these interrupts itself.</summary>
    /// <remarks>It ends when the device is disposed. A device without one of these interrupts raises no event for it.</remarks>
    public void Listen(PciDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        if (device.Interrupts.Count(InterruptIndex.Request) > 0)
            Add(device.Interrupts.EnableReleaseRequest(), new DeviceEvent(DeviceEventKind.ReleaseRequested, device.Name));
        if (device.Interrupts.Count(InterruptIndex.Error) > 0)
            Add(device.Interrupts.EnableError(), new DeviceEvent(DeviceEventKind.Error, device.Name));
    }

    /// <summary>Puts a device into a low-power state, and raises <see cref="DeviceEventKind.Woken"/> when it wakes.</summary>
    /// <remarks>Call <see cref="KernelDevice.ExitLowPower"/> before the next access to a region.</remarks>
    /// <exception cref="VfioException">ENOTTY: the kernel does not support it.</exception>
    public void EnterLowPower(KernelDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        // The registration holds the descriptor.
        using EventFd woken = EventFd.Create();
        device.EnterLowPower(woken);
        _loop.Add(woken, registration =>
        {
            registration.Cancel();
            if (!device.IsDisposed)
                Put(new DeviceEvent(DeviceEventKind.Woken, device.Name));
        });
    }

    /// <summary>The events since the constructor, as they come; each goes to one reader.</summary>
    /// <param name="cancellationToken">Ends the reading; events that are not read yet stay.</param>
    /// <returns>Ends when this object is disposed.</returns>
    public IAsyncEnumerable<DeviceEvent> ReadAllAsync(CancellationToken cancellationToken = default) =>
        _queue.Reader.ReadAllAsync(cancellationToken);

    /// <inheritdoc/>
    public void Dispose()
    {
        _loop.Dispose();
        _queue.Writer.TryComplete();
        _socket.Dispose();
    }

    /// <summary>Raises an event at each signal of an interrupt, until that is disposed.</summary>
    private void Add(Interrupt interrupt, DeviceEvent raised) => _loop.Add(interrupt.Event, registration =>
    {
        // Disposing the interrupt signals it too.
        if (interrupt.IsDisposed)
            registration.Cancel();
        else
            Put(raised with { At = DateTimeOffset.UtcNow });
    });

    private void Receive()
    {
        for (int i = 0; i < MessagesAtOnce; i++)
        {
            int count = _socket.Receive(_message, out Errno error);
            if (error == Errno.NoBuffers)
                Put(new DeviceEvent(DeviceEventKind.Lost, ""));
            else if (error != Errno.None)
                return;
            else if (count > 0 && Uevent.Parse(_message.AsSpan(0, count)) is { } uevent && _translator.Translate(uevent) is { } found)
                Put(found);
        }
    }

    /// <summary>Queues an event. If the queue is full the event is lost, and the next one that fits is preceded by <c>Lost</c>.</summary>
    private void Put(DeviceEvent happened)
    {
        if (_isBehind && !_queue.Writer.TryWrite(new DeviceEvent(DeviceEventKind.Lost, "")))
            return;
        _isBehind = !_queue.Writer.TryWrite(happened);
    }
}
