namespace Vfio.Tests;

/// <summary>Optional features of devices.</summary>
internal static class Features
{
    /// <summary>A feature that the device has.</summary>
    internal static TFeature Get<TFeature>(this IVfioDevice device)
        where TFeature : class
    {
        Assert.True(device.TryGet(out TFeature? feature), $"{device.Name} has no {typeof(TFeature).Name}");
        return feature;
    }
}
