using Vfio.Driver;
using Vfio.Native;

namespace Vfio;

/// <summary>A device that is not on PCI, as its driver uses it: regions and interrupts by name or number, DMA memory, reset.</summary>
/// <remarks>Owns the device, and all that is opened, allocated or enabled here. Any thread may use it. Once disposed, it and all that it
/// gave throw <see cref="ObjectDisposedException"/>.</remarks>
public sealed class PlatformDevice : IDisposable, IAsyncDisposable
{
    private readonly IVfioDevice _device;
    private readonly DeviceMemory _memory;
    private readonly Lock _lock = new();
    private readonly Dictionary<RegionIndex, Bar> _regions = [];
    private readonly Dictionary<InterruptIndex, InterruptSet> _interrupts = [];
    private readonly IPlatformDevice? _names;
    private volatile bool _disposed;

    /// <summary>Takes a device over.</summary>
    /// <param name="device">The device; owned by this object from now on, also when this throws.</param>
    /// <param name="iovas">Allocates addresses for its memory; null for the ranges of the device.</param>
    /// <exception cref="VfioException">ENODEV: it is a PCI function, which <see cref="PciDevice"/> drives.</exception>
    public PlatformDevice(IVfioDevice device, IovaAllocator? iovas = null)
    {
        ArgumentNullException.ThrowIfNull(device);
        _device = device;
        try
        {
            if (device.Info.Flags.HasFlag(DeviceFlags.Pci))
                throw new VfioException("use as a platform device", device.Name, Errno.NoDevice, "it is a PCI function");
            _memory = new DeviceMemory(device, iovas, this);
            device.TryGet(out _names);
        }
        catch
        {
            device.Dispose();
            throw;
        }
    }

    /// <summary>The device's address, for messages.</summary>
    public string Name => _device.Name;

    /// <summary>The device below, for what this class does not have; do not dispose it.</summary>
    public IVfioDevice Device => _device;

    /// <summary>How wide the device's DMA addresses are, in bits; 64 unless its driver says less, before it allocates.</summary>
    public int DmaAddressBits
    {
        get => _memory.AddressBits;
        set => _memory.AddressBits = value;
    }

    /// <summary>Opens a region by the name that the device tree has for it.</summary>
    /// <param name="name">One of <see cref="IPlatformDevice.RegionNames"/>.</param>
    /// <exception cref="VfioException">ENOENT: there is none of that name, or the device's names are not known here.</exception>
    public Bar OpenRegion(string name) => OpenRegion(Find(name, "region", _names?.RegionNames));

    /// <summary>Opens a region. A second call gives the same object, unless that was disposed.</summary>
    /// <param name="number">From 0.</param>
    /// <exception cref="VfioException">ENOENT: there is none.</exception>
    public Bar OpenRegion(int number)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(number);
        RegionIndex index = new((uint)number);
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_regions.TryGetValue(index, out Bar? open) && !open.IsDisposed)
                return open;
            RegionInfo region = number < _device.Info.RegionCount ? _device.GetRegion(index) : RegionInfo.Absent(index);
            if (region.Length == 0)
                throw new VfioException($"opening of region {number}", Name, Errno.NoEntry, $"it has {_device.Info.RegionCount} regions");
            return _regions[index] = new Bar(_device, region);
        }
    }

    /// <summary>Enables an interrupt by the name that the device tree has for it.</summary>
    /// <param name="name">One of <see cref="IPlatformDevice.InterruptNames"/>.</param>
    /// <exception cref="VfioException">ENOENT: there is none of that name, or the device's names are not known here.</exception>
    public Interrupt EnableInterrupt(string name) => EnableInterrupt(Find(name, "interrupt", _names?.InterruptNames));

    /// <summary>Enables an interrupt. A second call gives the same object, unless that was disposed.</summary>
    /// <param name="number">From 0.</param>
    /// <exception cref="VfioException">ENOENT: there is none.</exception>
    public Interrupt EnableInterrupt(int number)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(number);
        InterruptIndex index = new((uint)number);
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_interrupts.TryGetValue(index, out InterruptSet? enabled) && !enabled.IsDisposed && !enabled[0].IsDisposed)
                return enabled[0];
            if (number >= _device.Info.InterruptCount)
                throw new VfioException($"use of interrupt {number}", Name, Errno.NoEntry, $"it has {_device.Info.InterruptCount} interrupts");
            enabled?.Dispose();
            return (_interrupts[index] = new InterruptSet(_device, _device.GetInterrupt(index), count: 1))[0];
        }
    }

    /// <summary>As <see cref="PciDevice.AllocateDma"/>.</summary>
    public DmaBuffer AllocateDma(long bytes, DmaAccess access = DmaAccess.ReadWrite, DmaPages pages = DmaPages.Normal) =>
        _memory.Allocate(bytes, access, pages);

    /// <summary>As <see cref="PciDevice.MapMemory(DmaMemory, DmaAccess, Iova?)"/>.</summary>
    public DmaBuffer MapMemory(DmaMemory memory, DmaAccess access = DmaAccess.ReadWrite, Iova? start = null) =>
        _memory.Map(memory, access, start);

    /// <summary>Resets the device: its registers are as after power-on. Regions stay open, memory stays mapped, interrupts stay bound.</summary>
    /// <exception cref="VfioException">The reset failed, or the device has none (ENOTTY).</exception>
    public void Reset()
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            _device.Reset();
            foreach (InterruptSet interrupt in _interrupts.Values)
                interrupt.Refresh();
        }
    }

    /// <summary>As <see cref="Dispose"/>, which waits for the device to be reset, on another thread.</summary>
    public ValueTask DisposeAsync() => new(Task.Run(Dispose));

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_disposed)
                return;
            _disposed = true;
        }

        foreach (InterruptSet interrupt in _interrupts.Values)
            interrupt.Dispose();
        _memory.Dispose();
        foreach (Bar region in _regions.Values)
            region.Dispose();
        _device.Dispose();
    }

    private int Find(string name, string kind, IReadOnlyList<string>? names)
    {
        ArgumentNullException.ThrowIfNull(name);
        for (int i = 0; i < names?.Count; i++)
        {
            if (names[i] == name)
                return i;
        }

        throw new VfioException($"use of {kind} {name}", Name, Errno.NoEntry,
            names is null ? "its names are not known here; use the number" : $"it has {string.Join(", ", names)}");
    }
}
