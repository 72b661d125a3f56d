using Vfio.Devices;
using Vfio.Devices.Platform;
using Vfio.Guard;
using Vfio.Guard.Platform;
using Vfio.Kernel;
using Vfio.Tracing.Replay;
using Vfio.User;

namespace Vfio;

/// <summary>The device at an address, which can be opened repeatedly, by one user at a time.</summary>
/// <remarks>A model ends with its source; a device behind a socket or of the kernel does not.</remarks>
internal sealed class DeviceSource : IDisposable, IAsyncDisposable
{
    private const string ReplayWord = "replay";
    private readonly Func<IVfioDevice> _open;
    private readonly VfioUserClientOptions? _client;
    private readonly AddressCapture? _capture;

    private DeviceSource(DeviceAddress address, Func<IVfioDevice> open) => (Address, _open) = (address, open);

    private DeviceSource(DeviceAddress address, VfioUserClientOptions client, AddressCapture? capture)
        : this(address, () => VfioUserClient.Connect(address.Place, client)) => (_client, _capture) = (client, capture);

    /// <summary>The address.</summary>
    public DeviceAddress Address { get; }

    /// <summary>Whether its devices need it until their end.</summary>
    internal bool IsNeeded => Guard is not null || _capture is not null;

    /// <summary>The guard of a model in this process, for its owner; null for other devices.</summary>
    public GuardedFunction? Guard { get; private init; }

    /// <summary>Finds the device at an address.</summary>
    /// <param name="address">See <see cref="DeviceAddress"/>.</param>
    /// <param name="options">How to open it; null for the defaults.</param>
    /// <param name="isSuccessor">Whether a model takes over from another process: a resource that only one process can have, such as an image,
    /// is then opened at the first open.</param>
    /// <exception cref="VfioException">EINVAL: the text is no address; ENOENT: there is no such model; or the model cannot be
    /// made.</exception>
    /// <exception cref="PlatformNotSupportedException">The system is not Linux.</exception>
    public static DeviceSource Find(string address, VfioDeviceOptions? options = null, bool isSuccessor = false)
    {
        DeviceAddress parsed = DeviceAddress.Parse(address);
        if (!OperatingSystem.IsLinux())
            throw new PlatformNotSupportedException($"{parsed} cannot be opened: Vfio needs Linux");
        options ??= new VfioDeviceOptions();
        KernelDeviceOptions kernel = new() { Logger = options.Logger };
        switch (parsed.Scheme)
        {
            case AddressScheme.Unix:
                AddressCapture? capture = AddressCapture.Of(parsed, options.Logger);
                return new DeviceSource(parsed, ClientOptionsOf(parsed, options) with { Capture = capture?.Capture }, capture);
            case AddressScheme.Model when parsed.Place == ReplayWord:
                return new DeviceSource(parsed, ReplaySource.Find(parsed.Text, parsed.Options, difference => OpenLog.Differs(options.Logger, parsed.Text, difference)).Open);
            case AddressScheme.Model:
                GuardedFunction guard = ModelCatalog.CreateGuarded(parsed.Place, parsed.Options, isSuccessor);
                return new DeviceSource(parsed, OpenerOf(parsed, guard)) { Guard = guard };
            case AddressScheme.Lease:
                VfioUserClientOptions leased = ClientOptionsOf(parsed, options ?? new VfioDeviceOptions()) with { ReconnectTimeout = TimeSpan.Zero };
                return new DeviceSource(parsed, () => LeasedDevice.Open(parsed, leased));
            case AddressScheme.Mediated:
                return new DeviceSource(parsed, () => KernelDevice.OpenMediated(parsed.Uuid, kernel));
            default:
                return new DeviceSource(
                    parsed, parsed.IsGuarded ? () => GuardedKernel.Open(parsed, kernel) : () => KernelDevice.Open(parsed.Function, kernel));
        }
    }

    /// <summary>Opens the device. It is reset; bus mastering and interrupts are off.</summary>
    /// <exception cref="VfioException">It is in use, cannot be reset, or its server refused.</exception>
    public IVfioDevice Open() => _open();

    /// <summary>As <see cref="Open"/>, on another thread.</summary>
    /// <param name="cancellation">Cancels the attempt, and undoes what it has done.</param>
    /// <exception cref="VfioException">As there.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public async Task<IVfioDevice> OpenAsync(CancellationToken cancellation = default)
    {
        if (_client is not null)
            return await VfioUserClient.ConnectAsync(Address.Place, _client, cancellation).ConfigureAwait(false);
        Task<IVfioDevice> opening = Task.Factory.StartNew(_open, cancellation, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        try
        {
            // Opening a model is quick, and its source must not end before; the kernel may take long.
            return await (Guard is null ? opening.WaitAsync(cancellation) : opening).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            _ = ReleaseAsync(opening);
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Guard?.Dispose();
        _capture?.Dispose();
    }

    /// <summary>As <see cref="Dispose"/>, which waits for the model, on another thread.</summary>
    public ValueTask DisposeAsync() => new(Task.Run(Dispose));

    /// <summary>The client's options: those of the address take precedence.</summary>
    internal static VfioUserClientOptions ClientOptionsOf(DeviceAddress address, VfioDeviceOptions options) => new()
    {
        Timeout = address.Timeout ?? options.Timeout,
        ReconnectTimeout = address.Options.ContainsKey(DeviceAddress.ReconnectWord) ? address.Reconnect : options.Reconnect,
        Logger = options.Logger,
    };

    private static Func<IVfioDevice> OpenerOf(DeviceAddress address, GuardedFunction guard)
    {
        if (address.Place != PlatformModel.Name)
            return guard.Open;
        PlatformDescription description = PlatformModel.Describe(address.Options);
        return () => new PlatformAdapter(guard.Open(), description);
    }

    private static async Task ReleaseAsync(Task<IVfioDevice> opening)
    {
        try
        {
            (await opening.ConfigureAwait(false)).Dispose();
        }
        catch (Exception refusal) when (refusal is VfioException or OperationCanceledException)
        {
            // It was not opened, so there is nothing to close.
        }
    }
}
