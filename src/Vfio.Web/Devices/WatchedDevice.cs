using Vfio.Cli.Show;
using Vfio.Kernel;

namespace Vfio.Web.Devices;

/// <summary>A device that is looked at: what it is, and its config space from moment to moment.</summary>
/// <remarks>
/// <para>A function of this machine that is not guarded is read from sysfs, which disturbs nobody. Any other device is held open, by the
/// page or by the user whose it is at the socket.</para>
/// <para>Any thread. Config space is read when <see cref="Look"/> says so, and no other register is without
/// <see cref="ReadRegister"/>.</para>
/// </remarks>
internal sealed class WatchedDevice : IDisposable
{
    private readonly Lock _lock = new();
    private readonly KernelFunction? _function;
    private readonly bool _isOwned;
    private IVfioDevice? _open;
    private volatile bool _isLost;

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

    /// <summary>Whether there is something to read from now: it was there when it was last looked at.</summary>
    internal bool IsOpen => !_isLost && (_function is not null || Current is not null);

    private IVfioDevice? Current
    {
        get
        {
            lock (_lock)
                return _open;
        }

        set
        {
            lock (_lock)
                _open = value;
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

    /// <summary>Opens it for a user; it is looked at until the user's session ends.</summary>
    internal IVfioDevice OpenForUser()
    {
        IVfioDevice device = Source!.Open();
        (Current, _isLost) = (device, false);
        return new OwnedDevice(device, new SessionEnd(() => Forget(device)));
    }

    /// <summary>Reads config space.</summary>
    internal void Look()
    {
        IVfioDevice? device = Current;
        try
        {
            if (_function is not null)
            {
                Learn(_function.ReadConfig().Bytes);
            }
            else if (device is not null && Config.Length > 0)
            {
                byte[] bytes = new byte[Config.Length];
                device.ReadRegion(RegionIndex.Config, 0, bytes);
                Learn(bytes);
            }

            _isLost = device is not null && device.TryGet(out IRemovalNotifier? notifier) && notifier.Removed.IsCompletedSuccessfully;
        }
        catch (ObjectDisposedException)
        {
            // Its user has closed it; the next one may have it already.
            Forget(device);
        }
        catch (Exception gone) when (gone is VfioException or IOException or UnauthorizedAccessException)
        {
            // Lost, removed or in a reset: what was read last stays, until it can be read again.
            _isLost = true;
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

    private void Forget(IVfioDevice? device)
    {
        lock (_lock)
        {
            if (_open == device)
                _open = null;
        }
    }

    // Whoever has seen the array knows that nothing changed.
    private void Learn(ReadOnlySpan<byte> bytes)
    {
        if (!bytes.SequenceEqual(Config))
            Config = bytes.ToArray();
    }

    private sealed class SessionEnd(Action act) : IDisposable
    {
        public void Dispose() => act();
    }
}
