using Vfio.Driver;

namespace Vfio;

/// <summary>A PCI function as its driver uses it: config space, BARs, interrupts, DMA memory, reset.</summary>
/// <remarks>
/// <para>Works the same on every <see cref="IVfioDevice"/>. It owns the device, and all that is opened, allocated or enabled here: one
/// <see cref="Dispose"/> disables bus mastering and interrupts, unmaps memory and releases the device.</para>
/// <para>The function starts as after power-on. The first BAR enables memory decoding; the driver enables bus mastering
/// itself, once the addresses in its registers are right. Any thread may use it.</para>
/// </remarks>
public sealed class PciDevice : IDisposable, IAsyncDisposable
{
    private const int CommandRegister = 0x04;
    private const ushort IoSpace = 1, MemorySpace = 2, BusMaster = 4;
    private readonly IVfioDevice _device;
    private readonly IovaAllocator _iovas;
    private readonly Lock _lock = new();
    private readonly Dictionary<RegionIndex, Bar> _bars = [];
    private readonly HashSet<DmaBuffer> _buffers = [];
    private ushort _decode;
    private bool _disposed;

    /// <summary>Takes a device over.</summary>
    /// <param name="device">The device; owned by this object from now on, also when this throws.</param>
    /// <param name="iovas">Allocates addresses for its memory; null for the ranges of the device. Devices that share an address space share
    /// it.</param>
    /// <exception cref="VfioException">ENODEV: it is no PCI function.</exception>
    public PciDevice(IVfioDevice device, IovaAllocator? iovas = null)
    {
        ArgumentNullException.ThrowIfNull(device);
        _device = device;
        try
        {
            if (!device.Info.Flags.HasFlag(DeviceFlags.Pci))
                throw new VfioException("use as a PCI function", device.Name, Errno.NoDevice, "it is another kind of device");
            _iovas = iovas ?? new IovaAllocator(device.IovaRanges);
            Config = new PciConfig(device);
            Interrupts = new PciInterrupts(device);
            device.Restarted += OnRestarted;
            VendorId = Config.Read16(0x00);
            DeviceId = Config.Read16(0x02);
        }
        catch
        {
            device.Dispose();
            throw;
        }
    }

    /// <summary>Raised when the provider lost the device and found it again, as after a reset: BARs, memory and interrupts stay usable, bus
    /// mastering is off, and the driver sets its registers again.</summary>
    /// <remarks>Called on a thread of the provider. A vfio-user client raises it when it was configured to wait for its server; other
    /// providers do not.</remarks>
    public event Action? Restarted;

    /// <summary>The device's address, for messages.</summary>
    public string Name => _device.Name;

    /// <summary>The device below, for what this class does not have; do not dispose it.</summary>
    public IVfioDevice Device => _device;

    /// <summary>Who made it: Vendor ID, offset 0x00 of config space.</summary>
    public ushort VendorId { get; }

    /// <summary>What it is: Device ID, offset 0x02 of config space.</summary>
    public ushort DeviceId { get; }

    /// <summary>Config space as the provider shows it.</summary>
    public PciConfig Config { get; }

    /// <summary>Interrupts.</summary>
    public PciInterrupts Interrupts { get; }

    /// <summary>How wide the function's DMA addresses are, in bits; 64 unless its driver says less, before it allocates.</summary>
    public int DmaAddressBits { get; set; } = 64;

    /// <summary>Whether it may read and write memory by itself and send message signalled interrupts.</summary>
    public bool IsBusMaster => (Config.Read16(CommandRegister) & BusMaster) != 0;

    /// <summary>Whether it is present: one read of config space, which a removed function does not answer.</summary>
    public bool IsPresent => Presence.IsPresent(_device);

    /// <summary>Lets it read and write memory by itself and send message signalled interrupts.</summary>
    public void EnableBusMaster() => SetCommand(BusMaster, 0);

    /// <summary>Disables that. Accesses that the function makes then are lost; a driver stops it first.</summary>
    public void DisableBusMaster() => SetCommand(0, BusMaster);

    /// <summary>Opens a BAR and enables the decoding that it needs. A second call returns the same object.</summary>
    /// <param name="number">0 to 5; the lower half of a 64-bit BAR.</param>
    /// <exception cref="VfioException">ENOENT: the function has no such BAR.</exception>
    public Bar OpenBar(int number)
    {
        RegionIndex index = RegionIndex.Bar(number);
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_bars.TryGetValue(index, out Bar? open))
                return open;
            RegionInfo region = _device.GetRegion(index);
            if (region.Length == 0)
                throw new VfioException($"opening of {index}", Name, Errno.NoEntry, "there is none, or it is an upper half");
            bool isIo = (Config.Read32(0x10 + (4 * number)) & 1) != 0;
            _decode |= isIo ? IoSpace : MemorySpace;
            SetCommand(_decode, 0);
            Bar bar = new(_device, region);
            _bars.Add(index, bar);
            return bar;
        }
    }

    /// <summary>Allocates zeroed memory and maps it for the device.</summary>
    /// <param name="bytes">How much, above 0; rounded up to whole pages.</param>
    /// <param name="access">What the device may do with it.</param>
    /// <param name="pages">What pages it is made of; both its addresses are then multiples of their size.</param>
    /// <returns>Freed when it is disposed, or with this object.</returns>
    /// <exception cref="VfioException">ENOSPC: no addresses left that fit <see cref="DmaAddressBits"/>; ENOMEM: a limit, or too few huge
    /// pages.</exception>
    public DmaBuffer AllocateDma(long bytes, DmaAccess access = DmaAccess.ReadWrite, DmaPages pages = DmaPages.Normal)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(bytes, 1);
        bool isHuge = pages == DmaPages.Huge;
        ulong page = isHuge ? Native.SharedMemory.HugePageBytes : _iovas.PageBytes;
        ulong length = ((ulong)bytes + (page - 1)) & ~(page - 1);
        Iova start = _iovas.Allocate(length, DmaAddressBits, page);
        SharedDmaMemory? memory = null;
        try
        {
            memory = new SharedDmaMemory(isHuge ? Native.SharedMemory.CreateHuge("vfio-dma", length) : Native.SharedMemory.Create("vfio-dma", length));
            _device.MapDma(new DmaMapping(start, length, access, memory, 0));
        }
        catch
        {
            memory?.Release();
            _iovas.Free(start, length);
            throw;
        }

        DmaBuffer buffer = new(memory, start, access, Unmap);
        lock (_lock)
        {
            if (!_disposed)
            {
                _buffers.Add(buffer);
                return buffer;
            }
        }

        buffer.Dispose();
        throw new ObjectDisposedException(nameof(PciDevice));
    }

    /// <summary>Resets the function: its registers are as after power-on.</summary>
    /// <remarks>BARs stay open and answer, DMA buffers stay mapped, interrupts stay bound, unmasked, and forget what was pending.
    /// Bus mastering is off: the driver sets its registers up again and then calls <see cref="EnableBusMaster"/>.</remarks>
    /// <exception cref="VfioException">The reset failed, or the function has none (ENOTTY).</exception>
    public void Reset()
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            _device.Reset();

            // Providers differ in whether the command register survives a reset.
            SetCommand(_decode, BusMaster);
            Interrupts.Refresh();
        }
    }

    /// <summary>As <see cref="Dispose"/>, which waits for the device to be reset, on another thread.</summary>
    public ValueTask DisposeAsync() => new(Task.Run(Dispose));

    /// <inheritdoc/>
    public void Dispose()
    {
        DmaBuffer[] buffers;
        lock (_lock)
        {
            if (_disposed)
                return;
            _disposed = true;
            buffers = [.. _buffers];
        }

        try
        {
            DisableBusMaster();
        }
        catch (VfioException)
        {
            // A removed device needs nothing more; the rest is this process's own to free.
        }

        _device.Restarted -= OnRestarted;
        Interrupts.Dispose();
        foreach (DmaBuffer buffer in buffers)
            buffer.Dispose();
        foreach (Bar bar in _bars.Values)
            bar.Dispose();
        _device.Dispose();
    }

    private void OnRestarted()
    {
        lock (_lock)
        {
            if (_disposed)
                return;
            foreach ((RegionIndex index, Bar bar) in _bars)
                bar.MapAnew(_device.GetRegion(index));
        }

        Restarted?.Invoke();
    }

    private void SetCommand(ushort set, ushort clear)
    {
        lock (_lock)
        {
            ushort command = Config.Read16(CommandRegister);
            Config.Write16(CommandRegister, (ushort)((command & ~clear) | set));
        }
    }

    private void Unmap(DmaBuffer buffer)
    {
        lock (_lock)
            _buffers.Remove(buffer);
        try
        {
            _device.UnmapDma(buffer.Start, (ulong)buffer.Length);
            _iovas.Free(buffer.Start, (ulong)buffer.Length);
        }
        catch (VfioException)
        {
            // The device was removed, and its address space with it: the addresses are not allocated again.
        }
    }
}
