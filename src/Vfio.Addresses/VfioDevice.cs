namespace Vfio;

/// <summary>Opens devices by their address.</summary>
public static class VfioDevice
{
    /// <summary>Opens what an address names, reset and quiet.</summary>
    /// <param name="address">See <see cref="DeviceAddress"/>.</param>
    /// <exception cref="VfioException">The address is none, or the device cannot be had; the message says what to do.</exception>
    public static IVfioDevice Open(string address)
    {
        DeviceSource source = DeviceSource.Find(address);
        try
        {
            // Only a model ends with its source; other devices are all that they are.
            return source.Guard is null ? source.Open() : new OwnedDevice(source, source.Open());
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }
}
