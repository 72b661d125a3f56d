using Vfio.Driver;
using Vfio.Native;

namespace Vfio;

/// <summary>A PCI function as its driver uses it: config space, BARs, interrupts, DMA memory, reset.</summary>
/// <remarks>
/// <para>Works the same on every <see cref="IVfioDevice"/>. Owns it, and all that is opened, allocated or enabled here: one
/// <see cref="Dispose"/> stops the function as bus master, turns its interrupts off, unmaps its memory and closes the device.</para>
/// <para>The function starts as after power-on. Memory decoding goes on with the first BAR; the driver turns bus mastering on
/// itself, once the addresses in its registers are right. Any thread may use it. Once disposed, it and all that it gave throw
/// <see cref="ObjectDisposedException"/>.</para>
/// </remarks>
public sealed class PciDevice : IDisposable, IAsyncDisposable
{
    private const int CommandRegister = 0x04;
    private const ushort IoSpace = 1, MemorySpace = 2, BusMaster = 4;
    private readonly IVfioDevice _device;
    private readonly DeviceMemory _memory;
    private readonly Lock _lock = new();
    private readonly Dictionary<RegionIndex, Bar> _bars = [];
    private RemovalWatch? _removal;
    private ushort _decode;
    private volatile bool _disposed;

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
            _memory = new DeviceMemory(device, iovas, this);
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

    /// <summary>Completes when the device is removed, or its release is requested. Cancelled when this is disposed.
    /// </summary>
    /// <value>The same task at every call, for as many as wait.</value>
    /// <remarks>
    /// <para>Listening starts when this is first read; a request from before is not lost. What is known depends on who has the device: Linux
    /// requests the release of one that is unbound or unplugged; a client of a socket knows when its server is gone for good; an
    /// owner of a model in this process requests its release or takes it away.</para>
    /// <para>It completes once. Errors of a device that is there are <see cref="PciInterrupts.EnableError"/>. A driver that awaits this has
    /// no need to wait for <see cref="PciInterrupts.EnableReleaseRequest"/>.</para>
    /// </remarks>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    public Task<RemovalReason> Removed
    {
        get
        {
            lock (_lock)
            {
                ObjectDisposedException.ThrowIf(_disposed, this);
                _removal ??= new RemovalWatch(_device, Interrupts);
                return _removal.Reason;
            }
        }
    }

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
    public int DmaAddressBits
    {
        get => _memory.AddressBits;
        set => _memory.AddressBits = value;
    }

    /// <summary>Whether it may read and write memory by itself and send message signalled interrupts.</summary>
    public bool IsBusMaster => (Config.Read16(CommandRegister) & BusMaster) != 0;

    /// <summary>Whether it is there: one read of config space, which nobody answers for a function that was removed.</summary>
    public bool IsPresent
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return Presence.IsPresent(_device);
        }
    }

    /// <summary>Lets it read and write memory by itself and send message signalled interrupts.</summary>
    public void EnableBusMaster()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        SetCommand(BusMaster, 0);
    }

    /// <summary>Stops it from that. What it does meanwhile is lost; a good driver quiets it first.</summary>
    public void DisableBusMaster()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        SetCommand(0, BusMaster);
    }

    /// <summary>Opens a BAR and turns on the decoding that it needs. A second call gives the same object, unless that was disposed.</summary>
    /// <param name="number">0 to 5; the lower half of a 64-bit BAR.</param>
    /// <exception cref="VfioException">ENOENT: the function has no such BAR.</exception>
    public Bar OpenBar(int number)
    {
        RegionIndex index = RegionIndex.Bar(number);
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_bars.TryGetValue(index, out Bar? open) && !open.IsDisposed)
                return open;
            RegionInfo region = _device.GetRegion(index);
            if (region.Length == 0)
                throw new VfioException($"opening of {index}", Name, Errno.NoEntry, "there is none, or it is an upper half");
            bool isIo = (Config.Read32(0x10 + (4 * number)) & 1) != 0;
            _decode |= isIo ? IoSpace : MemorySpace;
            SetCommand(_decode, 0);
            Bar bar = new(_device, region);
            _bars[index] = bar;
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
    public DmaBuffer AllocateDma(long bytes, DmaAccess access = DmaAccess.ReadWrite, DmaPages pages = DmaPages.Normal) =>
        _memory.Allocate(bytes, access, pages);

    /// <summary>Maps memory that there is for the device: of this process, or of another device's buffer (<see cref="DmaBuffer.Memory"/>).
    /// </summary>
    /// <param name="memory">Memory that this process has mapped, of whole pages. A reference is taken until the buffer is disposed.</param>
    /// <param name="access">What the device may do with it.</param>
    /// <param name="start">Where the device shall have it, a multiple of the page size; null for where there is room.</param>
    /// <returns>All of the memory. Disposing it takes the memory away from the device and leaves it to its other users; it is
    /// disposed with this object.</returns>
    /// <exception cref="ArgumentException">The memory is not mapped, not of whole pages, or may not be written by <paramref name="access"/>.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">The address is not of a page, or beyond <see cref="DmaAddressBits"/>.</exception>
    /// <exception cref="VfioException">EEXIST: part of the range at <paramref name="start"/> is in use, or not of <see
    /// cref="IVfioDevice.IovaRanges"/>; ENOSPC: no addresses left; else the device's refusal.</exception>
    public DmaBuffer MapMemory(DmaMemory memory, DmaAccess access = DmaAccess.ReadWrite, Iova? start = null) =>
        _memory.Map(memory, access, start);

    /// <summary>Maps part of a file of memory for the device: a memfd, or a file on hugetlbfs or tmpfs.</summary>
    /// <param name="file">The file; whoever has it does not truncate it meanwhile, which would end this process. May be closed after.</param>
    /// <param name="fileOffset">Where the part starts, in bytes; a multiple of the page size.</param>
    /// <param name="length">Its size in bytes; a multiple of the page size.</param>
    /// <param name="access">What the device may do with it.</param>
    /// <param name="start">Where the device shall have it, a multiple of the page size; null for where there is room.</param>
    /// <returns>As for <see cref="MapMemory(DmaMemory, DmaAccess, Iova?)"/>.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The part is not of whole pages of the file; and as there.</exception>
    /// <exception cref="VfioException">The kernel does not map the file; and as there.</exception>
    public DmaBuffer MapMemory(
        FileDescriptor file, long fileOffset, long length, DmaAccess access = DmaAccess.ReadWrite, Iova? start = null) =>
        _memory.Map(file, fileOffset, length, access, start);

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
        lock (_lock)
        {
            if (_disposed)
                return;
            _disposed = true;
        }

        try
        {
            SetCommand(0, BusMaster);
        }
        catch (VfioException)
        {
            // A removed device needs nothing more; the rest is this process's own to free.
        }

        _device.Restarted -= OnRestarted;
        _removal?.Dispose();
        Interrupts.Dispose();
        _memory.Dispose();
        foreach (Bar bar in _bars.Values)
            bar.Dispose();
        Config.Close();
        _device.Dispose();
    }

    private void OnRestarted()
    {
        lock (_lock)
        {
            if (_disposed)
                return;
            foreach ((RegionIndex index, Bar bar) in _bars.Where(open => !open.Value.IsDisposed))
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
}
