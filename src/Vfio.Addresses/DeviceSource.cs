using Vfio.Devices;
using Vfio.Guard;
using Vfio.Kernel;
using Vfio.User;

namespace Vfio;

/// <summary>What an address names: something that can be opened, again and again, by one user at a time.</summary>
/// <remarks>A model lives as long as its source; what is at the end of a socket lives on its own.</remarks>
public sealed class DeviceSource : IDisposable
{
    private readonly Func<IVfioDevice> _open;

    private DeviceSource(DeviceAddress address, Func<IVfioDevice> open) => (Address, _open) = (address, open);

    /// <summary>The address.</summary>
    public DeviceAddress Address { get; }

    /// <summary>The guard when the device is a model of this process: its owner's side. Null otherwise.</summary>
    public GuardedFunction? Guard { get; private init; }

    /// <summary>Finds what an address names.</summary>
    /// <param name="address">The address.</param>
    /// <param name="isSuccessor">Whether a model is to go on in place of one that another process still has: what only one process can
    /// have is taken when it is first opened.</param>
    /// <exception cref="VfioException">EINVAL: the text is no address; ENOENT: there is no such model; else why it cannot be
    /// made.</exception>
    public static DeviceSource Find(string address, bool isSuccessor = false)
    {
        DeviceAddress parsed = DeviceAddress.Parse(address);
        switch (parsed.Scheme)
        {
            case AddressScheme.Unix:
                VfioUserClientOptions options = new() { ReconnectTimeout = parsed.Reconnect };
                return new DeviceSource(parsed, () => VfioUserClient.Connect(parsed.Place, options));
            case AddressScheme.Model:
                GuardedFunction guard = ModelCatalog.Lend(parsed.Place, parsed.Options, isSuccessor);
                return new DeviceSource(parsed, guard.Open) { Guard = guard };
            case AddressScheme.Mediated:
                return new DeviceSource(parsed, () => KernelDevice.OpenMediated(parsed.Uuid));
            default:
                return new DeviceSource(parsed, () => KernelDevice.Open(parsed.Function));
        }
    }

    /// <summary>Opens the device, reset and quiet.</summary>
    /// <exception cref="VfioException">It is in use, cannot be reset, or its server refused.</exception>
    public IVfioDevice Open() => _open();

    /// <inheritdoc/>
    public void Dispose() => Guard?.Dispose();
}
