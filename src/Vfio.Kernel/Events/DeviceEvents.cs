using System.Threading.Channels;
using Vfio.Kernel.Binding;
using Vfio.Kernel.Events;
using Vfio.Kernel.Topology;
using Vfio.Native;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;

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

    /// <summary>Messages that are received in a row: others may be waited for, and anybody may send to the socket.</summary>
    private const int MessagesAtOnce = 64;

    private readonly Channel<DeviceEvent> _queue = Channel.CreateBounded<DeviceEvent>(QueueLength);
    private readonly EventTranslator _translator;
    private readonly UeventSocket _socket = new();
    private readonly EventLoop _loop = new("vfio events");
    private readonly byte[] _message = new byte[UeventSocket.MaxBytes];
    private bool _isBehind;

    /// <summary>Starts to listen.</summary>
    /// <param name="paths">Where the kernel shows itself; null for the usual places.</param>
    /// <exception cref="VfioException">The kernel tells no events, or no descriptors are left.</exception>
    internal DeviceEvents(KernelPaths? paths = null)
    {
        _translator = new EventTranslator(new PciTopology((paths ?? new KernelPaths()).Sysfs));
        _loop.Add(_socket.Descriptor, _ => Receive());
    }

    /// <summary>Tells of a device's own signals too: <see cref="DeviceEventKind.ReleaseRequested"/> when its owner wants it back (REQ),
    /// <see cref="DeviceEventKind.Error"/> when it has one (ERR). The driver then does not wait for these interrupts itself.</summary>
    /// <remarks>It ends when the device is disposed. What the provider does not signal is not told.</remarks>
    public void Listen(PciDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        if (device.Interrupts.Count(InterruptIndex.Request) > 0)
            Add(device.Interrupts.EnableReleaseRequest(), new DeviceEvent(DeviceEventKind.ReleaseRequested, device.Name));
        if (device.Interrupts.Count(InterruptIndex.Error) > 0)
            Add(device.Interrupts.EnableError(), new DeviceEvent(DeviceEventKind.Error, device.Name));
    }

    /// <summary>Lets a device sleep, and tells when something woke it: <see cref="DeviceEventKind.Woken"/>.</summary>
    /// <remarks>Regions must not be touched meanwhile: call <see cref="KernelDevice.ExitLowPower"/> before.</remarks>
    /// <exception cref="VfioException">ENOTTY: the kernel cannot.</exception>
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

    /// <summary>The events since the constructor, as they come; each is given to one reader.</summary>
    /// <param name="cancellationToken">Ends the reading; what is not read yet stays.</param>
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

    /// <summary>Tells of an interrupt until it is disposed.</summary>
    private void Add(Interrupt interrupt, DeviceEvent told) => _loop.Add(interrupt.Event, registration =>
    {
        // To be disposed signals it too.
        if (interrupt.IsDisposed)
            registration.Cancel();
        else
            Put(told with { At = DateTimeOffset.UtcNow });
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

    /// <summary>Queues an event. One that has no room is lost, and that is told with the next one that has.</summary>
    private void Put(DeviceEvent happened)
    {
        if (_isBehind && !_queue.Writer.TryWrite(new DeviceEvent(DeviceEventKind.Lost, "")))
            return;
        _isBehind = !_queue.Writer.TryWrite(happened);
    }
}
