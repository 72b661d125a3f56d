using System.Numerics;
using System.Runtime.CompilerServices;
using Vfio.Drivers.Ethernet;
using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.Drivers.Igb;

/// <summary>Driver of a port of the Intel 82576: of its physical function (8086:10c9 and its copper kin) or of one of its virtual
/// functions (8086:10ca).</summary>
/// <remarks>
/// <para>Owns the device; resets it when it is opened and stops it when it is disposed. One queue each way, one MSI-X vector.</para>
/// <para>A virtual function needs a driver at its physical function, which gives it an address and forwards its frames. When that
/// one is reset, waiting ends with ECONNRESET: open the port again.</para>
/// <para>Whoever waits for frames looks at the registers ten times a second while none come, and so learns of a function that was
/// removed, whether or not anybody tells. To hear of an owner who asks first is the program's matter:
/// <see cref="PciInterrupts.EnableReleaseRequest"/> of <see cref="Device"/>.</para>
/// </remarks>
public sealed class IgbPort : IEthernetPort
{
    /// <summary>A frame with 1500 bytes of data and a VLAN tag.</summary>
    private const int LongestFrame = 1518;

    private const ushort Intel = 0x8086, Virtual = 0x10ca;
    private static readonly ushort[] Physical = [0x10c9, 0x10e8, 0x150a, 0x1526];
    private readonly PciDevice _device;
    private readonly IgbFunction _function;
    private readonly IgbReceiveRing _receive;
    private readonly IgbTransmitRing _transmit;
    private readonly Interrupt? _interrupt;
    private LivenessWait _wait;
    private bool _isPromiscuous;
    private bool _disposed;

    /// <summary>Takes a device over, resets it and starts it.</summary>
    /// <param name="device">The device; owned from now on, also when this throws.</param>
    /// <param name="options">How to drive it; null for the defaults.</param>
    /// <exception cref="VfioException">ENODEV: it is no 82576, or is gone; ETIMEDOUT: it does not start, or nobody drives the
    /// physical function; EPERM: the address may not be changed; else what the device refused.</exception>
    public IgbPort(IVfioDevice device, IgbOptions? options = null)
    {
        options ??= new IgbOptions();
        Check(options);
        _device = new PciDevice(device);
        try
        {
            if (!CanDrive(_device.VendorId, _device.DeviceId))
            {
                throw new VfioException(
                    "use as an 82576", Name, Errno.NoDevice, $"its ids are {_device.VendorId:x4}:{_device.DeviceId:x4}, not 8086:10c9 or 8086:10ca");
            }

            Bar registers = _device.OpenBar(0);
            IsVirtualFunction = _device.DeviceId == Virtual;
            _function = IsVirtualFunction
                ? new IgbVirtualFunction(_device, registers)
                : new IgbPhysicalFunction(_device, registers, options.VirtualFunctionsMayChangeAddress);
            _function.Reset();
            Address = _function.Adopt(options.Address);
            Buffers = new EthernetBuffers(_device, options.ReceiveEntries + options.TransmitEntries + options.SpareBuffers);
            _receive = new IgbReceiveRing(_device, registers, _function.ReceiveQueue, Buffers, options.ReceiveEntries);
            _transmit = new IgbTransmitRing(_device, registers, _function.TransmitQueue, Buffers, options.TransmitEntries, LongestFrame);
            _device.EnableBusMaster();
            if (options.Interrupts && _device.Interrupts.Count(InterruptIndex.Msix) > 0)
            {
                _interrupt = _device.Interrupts.Enable(InterruptIndex.Msix, 1)[0];
                _function.EnableInterrupts(options.InterruptInterval);
            }

            _function.Enable();
            _transmit.Start();
            _receive.Start(_function.SplitControl);
            _wait = new LivenessWait(_function, "wait for a frame");
        }
        catch
        {
            _device.Dispose();
            throw;
        }
    }

    /// <summary>The function, for what this driver does not do; do not dispose it.</summary>
    public PciDevice Device => _device;

    /// <inheritdoc/>
    public string Name => _device.Name;

    /// <summary>Whether it is a virtual function.</summary>
    public bool IsVirtualFunction { get; }

    /// <summary>How many virtual functions it has: 0 to 7. They send and receive once <see cref="ServeVirtualFunctions"/> has answered
    /// them.</summary>
    public int VirtualFunctions => _function.VirtualFunctions;

    /// <summary>Whether waiting sleeps until the function interrupts, rather than spins.</summary>
    public bool HasInterrupts => _interrupt is not null;

    /// <inheritdoc/>
    public MacAddress Address { get; }

    /// <inheritdoc/>
    public bool IsLinkUp => _function.IsLinkUp;

    /// <inheritdoc/>
    public int MaxFrameBytes => LongestFrame;

    /// <inheritdoc/>
    public EthernetBuffers Buffers { get; }

    /// <inheritdoc/>
    /// <remarks>A virtual function gets frames to all groups and to itself, never those to other stations.</remarks>
    public bool IsPromiscuous
    {
        get => _isPromiscuous;
        set
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            _function.SetPromiscuous(value);
            _isPromiscuous = value;
        }
    }

    /// <summary>Whether this driver is for a function with these ids.</summary>
    /// <param name="vendorId">Vendor ID of config space.</param>
    /// <param name="deviceId">Device ID of config space.</param>
    public static bool CanDrive(ushort vendorId, ushort deviceId) =>
        vendorId == Intel && (deviceId == Virtual || Array.IndexOf(Physical, deviceId) >= 0);

    /// <inheritdoc/>
    /// <exception cref="VfioException">EPROTO: the device says that it received what cannot be.</exception>
    public int Receive(Span<EthernetFrame> frames)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return _receive.Receive(frames);
    }

    /// <inheritdoc/>
    public int Transmit(ReadOnlySpan<EthernetFrame> frames)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return _transmit.Transmit(frames);
    }

    /// <summary>Answers what drivers of its virtual functions asked: to be called every few milliseconds, while they start at least.</summary>
    /// <remarks>Each gets an address of its own, may send from no other, and receives what is to that address, to all, and to groups that it
    /// asks for. Any thread may call it, one at a time, beside the one that uses the port.</remarks>
    /// <returns>How many messages were answered.</returns>
    public int ServeVirtualFunctions()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return _function.Serve();
    }

    /// <inheritdoc/>
    public int Take(Span<EthernetFrame> frames)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (Buffers.FreeCount < frames.Length)
            _transmit.Reap();
        return Buffers.Take(frames);
    }

    /// <inheritdoc/>
    public void Return(ReadOnlySpan<EthernetFrame> frames) => Buffers.TakeBack(frames);

    /// <inheritdoc/>
    /// <exception cref="VfioException">ENODEV: the device is gone; ECONNRESET: it, or its physical function, was reset.</exception>
    public bool Wait(TimeSpan timeout)
    {
        Deadline.ThrowIfInvalid(timeout);
        if (HasFrame())
            return true;
        _wait.Begin(timeout);
        while (!_wait.IsOver())
        {
            if (_interrupt is null)
            {
                _wait.SpinOnce();
            }
            else
            {
                _function.Arm();

                // What came before it was armed does not interrupt.
                if (!_receive.HasFrame)
                    _interrupt.Wait(_wait.SleepTime);
            }

            if (_receive.HasFrame)
                return true;
        }

        return false;
    }

    /// <inheritdoc/>
    /// <remarks>Allocates nothing once warm. Without interrupts it takes turns with other work, and never sleeps.</remarks>
    /// <exception cref="VfioException">ENODEV: the device is gone; ECONNRESET: it, or its physical function, was reset.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask WaitAsync(CancellationToken cancellationToken = default)
    {
        if (HasFrame())
            return;
        _wait.Begin(Timeout.InfiniteTimeSpan);
        while (!_wait.IsOver())
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (_interrupt is null)
            {
                await Task.Yield();
            }
            else
            {
                _function.Arm();
                if (!_receive.HasFrame)
                    await _interrupt.WaitAsync(_wait.SleepTime, cancellationToken).ConfigureAwait(false);
            }

            if (_receive.HasFrame)
                return;
        }
    }

    /// <summary>Stops the function and closes the device. Frames on their way may be lost.</summary>
    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        try
        {
            _function.Stop();
        }
        catch (VfioException)
        {
            // A device that is gone is quiet; giving it back resets it.
        }

        _device.Dispose();
    }

    private static void Check(IgbOptions options)
    {
        CheckEntries(options.ReceiveEntries);
        CheckEntries(options.TransmitEntries);
        ArgumentOutOfRangeException.ThrowIfNegative(options.SpareBuffers, nameof(options));
        double microseconds = options.InterruptInterval.TotalMicroseconds;
        if (microseconds is < 0 or > IgbRegisters.LongestThrottle)
        {
            throw new ArgumentOutOfRangeException(
                nameof(options), $"{microseconds} microseconds between interrupts; at most {IgbRegisters.LongestThrottle}");
        }

        if (options.Address is { IsStation: false } address)
            throw new ArgumentException($"{address} is no address of a station", nameof(options));
    }

    private static void CheckEntries(int entries)
    {
        const int Fewest = 64, Most = 4096;
        if (!BitOperations.IsPow2(entries) || entries is < Fewest or > Most)
            throw new ArgumentOutOfRangeException(nameof(entries), $"{entries} descriptors; a power of two from {Fewest} to {Most}");
    }

    private bool HasFrame()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_receive.HasFrame)
            return true;

        // Buffers that the caller has returned since: with none in the ring nothing would ever come.
        _receive.Refill();
        return _receive.HasFrame;
    }
}
