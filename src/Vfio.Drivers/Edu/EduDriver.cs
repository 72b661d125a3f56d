using Vfio.Native;
using Vfio.Native.Waiting;
using static Vfio.Drivers.Edu.EduRegisters;

namespace Vfio.Drivers.Edu;

/// <summary>Driver of QEMU's educational device (1234:11e8), or a model of it.</summary>
/// <remarks>Owns the device. Any thread may use it; operations are serialized. See <c>docs/specs/edu.rst</c> of QEMU.</remarks>
public sealed class EduDriver : IDisposable
{
    private static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(10);
    private readonly Lock _lock = new();
    private readonly PciDevice _device;
    private readonly Bar _registers;
    private readonly EduEvents _events;
    private readonly EduDma _dma;

    /// <summary>Takes a device over and makes it ready.</summary>
    /// <param name="device">The device; owned from now on, also when this throws.</param>
    /// <param name="interrupt">The kind of interrupt to use; null for the best that it has.</param>
    /// <exception cref="VfioException">ENODEV: it is another device; else what the device refused.</exception>
    public EduDriver(IVfioDevice device, InterruptIndex? interrupt = null)
    {
        _device = new PciDevice(device) { DmaAddressBits = DmaAddressBits };
        try
        {
            if ((_device.VendorId, _device.DeviceId) != (VendorId, DeviceId))
                throw Mismatch($"its ids are {_device.VendorId:x4}:{_device.DeviceId:x4}, not {VendorId:x4}:{DeviceId:x4}");
            _registers = _device.OpenBar(0);
            if (Identify() is { IsEdu: false } other)
                throw Mismatch($"it identifies itself as {other}");
            InterruptSet vectors = interrupt is { } kind ? _device.Interrupts.Enable(kind, 1) : _device.Interrupts.Enable(1);
            _events = new EduEvents(_device.Name, _registers, vectors[0]);
            _dma = new EduDma(_device, _registers, _events) { Timeout = DefaultTimeout };
            _device.EnableBusMaster();
            _events.Clear();
        }
        catch
        {
            _device.Dispose();
            throw;
        }
    }

    /// <summary>The function, for what this driver does not do; do not dispose it.</summary>
    public PciDevice Device => _device;

    /// <summary>The kind of interrupt in use.</summary>
    public InterruptIndex InterruptKind => _events.Kind;

    /// <summary>How long an operation may take; 10 s unless set, <see cref="System.Threading.Timeout.InfiniteTimeSpan"/> for ever. QEMU's
    /// device waits 100 ms before each DMA transfer.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is another time below zero.</exception>
    public TimeSpan Timeout
    {
        get => _dma.Timeout;
        set
        {
            Deadline.ThrowIfInvalid(value, nameof(Timeout));
            _dma.Timeout = value;
        }
    }

    /// <summary>Reads the identification register.</summary>
    internal EduIdentification Identify() => new(_registers.Read32(Identification));

    /// <summary>Asks for the complement of a value.</summary>
    /// <returns>Whether the answer is right.</returns>
    public bool CheckLiveness(uint probe)
    {
        lock (_lock)
        {
            _registers.Write32(Liveness, probe);
            return _registers.Read32(Liveness) == ~probe;
        }
    }

    /// <summary>Has the device compute a factorial, modulo 2^32, and sleeps until its interrupt comes.</summary>
    /// <exception cref="VfioException">ETIMEDOUT: it did not.</exception>
    public uint Factorial(uint number)
    {
        lock (_lock)
        {
            AwaitIdle();
            _events.Clear();
            _registers.Write32(Status, InterruptAfterFactorial);
            _registers.Write32(EduRegisters.Factorial, number);
            if (_events.WaitFor(FactorialCause, Timeout) == 0)
                throw _events.NotInTime($"factorial of {number}", Timeout);
            return _registers.Read32(EduRegisters.Factorial);
        }
    }

    /// <summary>Has the device compute a factorial, modulo 2^32, and looks at its status until it is done.</summary>
    /// <exception cref="VfioException">ETIMEDOUT: it was not done in time.</exception>
    public uint FactorialByPolling(uint number)
    {
        lock (_lock)
        {
            AwaitIdle();
            _registers.Write32(Status, 0);
            _registers.Write32(EduRegisters.Factorial, number);
            AwaitIdle();
            return _registers.Read32(EduRegisters.Factorial);
        }
    }

    /// <summary>Has the device raise its interrupt, and waits for it.</summary>
    /// <param name="causes">Bits for the interrupt status register; not 0.</param>
    /// <returns>The causes that came; they are acknowledged.</returns>
    /// <exception cref="VfioException">ETIMEDOUT: it did not come.</exception>
    public uint RaiseInterrupt(uint causes)
    {
        ArgumentOutOfRangeException.ThrowIfZero(causes);
        lock (_lock)
        {
            _events.Clear();
            _registers.Write32(InterruptRaise, causes);
            uint seen = _events.WaitFor(causes, Timeout);
            return seen != 0 ? seen : throw _events.NotInTime($"interrupt with causes 0x{causes:x}", Timeout);
        }
    }

    /// <summary>Has the device read memory into its buffer.</summary>
    /// <param name="source">The memory.</param>
    /// <param name="offset">Where to start in it, in bytes.</param>
    /// <param name="count">How many bytes: 1 to 4096, less <paramref name="at"/>.</param>
    /// <param name="at">Where to put them in the device's buffer.</param>
    public void CopyToDevice(DmaBuffer source, long offset, int count, int at = 0)
    {
        CheckRange(source, offset, count);
        lock (_lock)
            _dma.Move(source.AddressOf(offset), at, count, toMemory: false);
    }

    /// <summary>Has the device write its buffer to memory.</summary>
    /// <param name="destination">The memory.</param>
    /// <param name="offset">Where to start in it, in bytes.</param>
    /// <param name="count">How many bytes: 1 to 4096, less <paramref name="at"/>.</param>
    /// <param name="at">Where they are in the device's buffer.</param>
    public void CopyFromDevice(DmaBuffer destination, long offset, int count, int at = 0)
    {
        CheckRange(destination, offset, count);
        lock (_lock)
            _dma.Move(destination.AddressOf(offset), at, count, toMemory: true);
    }

    /// <summary>Copies a buffer of any size to another through the device, 4 KiB at a time, and compares what arrived.</summary>
    /// <param name="source">What to copy: all of it.</param>
    /// <param name="destination">At least as long.</param>
    /// <exception cref="VfioException">EFAULT: something did not arrive; the device may not reach one of them.</exception>
    public void Copy(DmaBuffer source, DmaBuffer destination)
    {
        lock (_lock)
            _dma.Copy(source, destination);
    }

    /// <summary>Has the device read memory at any address, also one that it was not given, to see what its provider lets through.</summary>
    /// <param name="address">Where.</param>
    /// <param name="destination">What the device got; 8 to 4096 bytes.</param>
    /// <returns>False when it got nothing; memory that holds only zeros or ones looks like that too.</returns>
    public bool TryReadMemory(Iova address, Span<byte> destination)
    {
        lock (_lock)
            return _dma.TryRead(address, destination);
    }

    /// <summary>Resets the device in the middle of whatever it does, and makes it ready again.</summary>
    /// <exception cref="VfioException">It cannot be reset.</exception>
    public void Reset()
    {
        lock (_lock)
        {
            _device.Reset();
            _device.EnableBusMaster();
            _events.Clear();
        }
    }

    /// <summary>Stops the device, unmaps its memory, turns its interrupts off, and closes it.</summary>
    public void Dispose()
    {
        lock (_lock)
            _device.Dispose();
    }

    private static void CheckRange(DmaBuffer buffer, long offset, int count)
    {
        ArgumentNullException.ThrowIfNull(buffer);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, buffer.Length - count);
    }

    private void AwaitIdle()
    {
        if (!_registers.WaitFor32(Status, Computing, 0, Timeout))
            throw new VfioException("factorial", _device.Name, Errno.TimedOut, $"it still computes after {Timeout.TotalSeconds} s");
    }

    private VfioException Mismatch(string reason) => new("use as an edu device", _device.Name, Errno.NoDevice, reason);
}
