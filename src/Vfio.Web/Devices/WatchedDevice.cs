using Vfio.Cli.Show;
using Vfio.Kernel;

namespace Vfio.Web.Devices;

/// <summary>A device that is looked at: what it is, and its config space from moment to moment.</summary>
/// <remarks>
/// <para>A function of this machine that is not guarded is read from sysfs, which disturbs nobody. Any other device is held open, by the page or by
/// the user whose it is at the socket.</para>
/// <para>Any thread. Config space is read when <see cref="Look"/> says so, and no other register is without <see cref="ReadRegister"/>.</para>
/// </remarks>
internal sealed class WatchedDevice : IDisposable
{
    private readonly Lock _lock = new();
    private readonly KernelFunction? _function;
    private readonly bool _isOwned;
    private IVfioDevice? _open;

    private WatchedDevice(FunctionView view, DeviceSource? source, KernelFunction? function, IVfioDevice? open)
    {
        (View, Source, _function, _open, _isOwned) = (view, source, function, open, open is not null);
        Config = view.Space.Bytes.ToArray();
    }

    /// <summary>What it was when the page began.</summary>
    internal FunctionView View { get; }

    /// <summary>Opens it; null for one that is not opened.</summary>
    internal DeviceSource? Source { get; }

    /// <summary>Config space as it was last read: an array that is replaced, and never changed.</summary>
    internal byte[] Config { get; private set; }

    /// <summary>Whether there is something to read from now.</summary>
    internal bool IsOpen => _function is not null || Current is not null;

    private IVfioDevice? Current
    {
        get
        {
            lock (_lock)
                return _open;
        }
    }

    /// <summary>Whether <see cref="ReadRegister"/> can work: registers are read by who has the device open.</summary>
    internal bool CanReadRegisters => Current is not null;

    /// <summary>Finds a device.</summary>
    /// <param name="address">Its address.</param>
    /// <param name="options">How to open it.</param>
    /// <param name="isServed">Whether it is opened for users at a socket, and not for the page alone.</param>
    /// <exception cref="VfioException">It cannot be opened.</exception>
    internal static WatchedDevice Find(string address, VfioDeviceOptions options, bool isServed)
    {
        DeviceAddress parsed = DeviceAddress.Parse(address);
        if (!isServed && parsed is { Scheme: AddressScheme.Pci, IsGuarded: false })
        {
            KernelFunction function = new PciTopology().Find(parsed.Function);
            return new WatchedDevice(FunctionView.Of(function), null, function, null);
        }

        DeviceSource source = DeviceSource.Find(address, options);
        try
        {
            IVfioDevice device = source.Open();
            FunctionView view = FunctionView.Of(device, source);
            if (isServed)
                device.Dispose();
            return new WatchedDevice(view, source, null, isServed ? null : device);
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }

    /// <summary>The device of a trace, which is only known from there.</summary>
    internal static WatchedDevice Of(FunctionView view) => new(view, null, null, null);

    /// <summary>Opens it for a user; it is looked at until it ends.</summary>
    internal IVfioDevice OpenForUser()
    {
        IVfioDevice device = Source!.Open();
        lock (_lock)
            _open = device;
        return device;
    }

    /// <summary>Reads config space.</summary>
    internal void Look()
    {
        if (Config.Length == 0)
            return;
        try
        {
            if (_function is not null)
            {
                Config = _function.ReadConfig().Bytes.ToArray();
            }
            else if (Current is { } device)
            {
                byte[] bytes = new byte[Config.Length];
                device.ReadRegion(RegionIndex.Config, 0, bytes);
                Config = bytes;
            }
        }
        catch (ObjectDisposedException)
        {
            // Its user has closed it.
            lock (_lock)
                _open = null;
        }
        catch (Exception gone) when (gone is VfioException or IOException or UnauthorizedAccessException)
        {
            // Lost, removed or in a reset: what was read last stays.
        }
    }

    /// <summary>Reads a register, once.</summary>
    /// <exception cref="VfioException">It cannot be read; or the device is not open.</exception>
    internal ulong ReadRegister(RegionIndex region, ulong offset, int bytes)
    {
        IVfioDevice device = Current ?? throw new VfioException("reading a register", View.Name, Errno.NoDevice, "nobody has the device open");
        Span<byte> value = stackalloc byte[sizeof(ulong)];
        value.Clear();
        try
        {
            device.ReadRegion(region, offset, value[..bytes]);
        }
        catch (ObjectDisposedException)
        {
            throw new VfioException("reading a register", View.Name, Errno.NoDevice, "its user has just closed it");
        }

        return System.Buffers.Binary.BinaryPrimitives.ReadUInt64LittleEndian(value);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_isOwned)
            _open?.Dispose();
        Source?.Dispose();
    }
}
