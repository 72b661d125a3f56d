namespace Vfio;

/// <summary>Opens devices by their address.</summary>
public static class VfioDevice
{
    /// <summary>Opens what an address names, reset and quiet.</summary>
    /// <param name="address">See <see cref="DeviceAddress"/>.</param>
    /// <exception cref="VfioException">The address is none, or the device cannot be had; the message says what to do.</exception>
    public static IVfioDevice Open(string address) => Open(address, null);

    /// <summary>As the other.</summary>
    /// <param name="address">See <see cref="DeviceAddress"/>.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <exception cref="VfioException">The address is none, or the device cannot be had; ETIMEDOUT: its server takes longer than the
    /// options allow.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A time of the options is out of range.</exception>
    public static IVfioDevice Open(string address, VfioDeviceOptions? options)
    {
        DeviceSource source = DeviceSource.Find(address, options);
        try
        {
            return Keep(source, source.Open());
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }

    /// <summary>As <see cref="Open(string, VfioDeviceOptions?)"/>, on another thread.</summary>
    /// <param name="address">See <see cref="DeviceAddress"/>.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <param name="cancellation">Ends an attempt that is under way: to connect, to negotiate or to open. Nothing of it stays; what the
    /// kernel is busy to open is released as soon as it is open.</param>
    /// <exception cref="VfioException">As there.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static async Task<IVfioDevice> OpenAsync(
        string address, VfioDeviceOptions? options = null, CancellationToken cancellation = default)
    {
        DeviceSource source = DeviceSource.Find(address, options);
        try
        {
            return Keep(source, await source.OpenAsync(cancellation).ConfigureAwait(false));
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }

    // Only a model ends with its source; other devices are all that they are.
    private static IVfioDevice Keep(DeviceSource source, IVfioDevice device) =>
        source.Guard is null ? device : new OwnedDevice(source, device);
}
