namespace Vfio;

/// <summary>Opens devices by their address.</summary>
public static class VfioDevice
{
    /// <summary>Opens the device at an address. It is reset; bus mastering and interrupts are off.</summary>
    /// <param name="address">See <see cref="DeviceAddress"/>.</param>
    /// <exception cref="VfioException">The text is no address, or the device cannot be opened; the message says what to do.</exception>
    public static IVfioDevice Open(string address) => Open(address, null);

    /// <summary>Opens the device at an address, with options.</summary>
    /// <param name="address">See <see cref="DeviceAddress"/>.</param>
    /// <param name="options">Timeouts and the logger; null for the defaults.</param>
    /// <exception cref="VfioException">The text is no address, or the device cannot be opened; ETIMEDOUT: its server takes longer than the
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
    /// <param name="options">Timeouts and the logger; null for the defaults.</param>
    /// <param name="cancellation">Cancels connecting, negotiating or opening, and undoes it. A device that the kernel is opening is closed as
    /// soon as it is open.</param>
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

    // Only a model and a capture need their source until their end.
    private static IVfioDevice Keep(DeviceSource source, IVfioDevice device) =>
        source.IsNeeded ? new OwnedDevice(device, source) : device;
}
