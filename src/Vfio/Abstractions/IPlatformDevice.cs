namespace Vfio;

/// <summary>An optional feature: what a device tree says of a device that is not on PCI. Its regions and interrupts have names.</summary>
/// <remarks>The paths are those of the device tree specification, section 2.2.3. VFIO itself passes none of this: Linux has it in sysfs
/// (<c>of_node</c>), and a vfio-user server does not send it.</remarks>
public interface IPlatformDevice
{
    /// <summary>The device's node: <c>/soc/serial@9000000</c>.</summary>
    string DeviceTreePath { get; }

    /// <summary>What it is compatible with, the most specific first; the property <c>compatible</c>.</summary>
    IReadOnlyList<string> Compatible { get; }

    /// <summary>The names of its regions, from index 0 on; the property <c>reg-names</c>.</summary>
    IReadOnlyList<string> RegionNames { get; }

    /// <summary>The names of its interrupts, from index 0 on; the property <c>interrupt-names</c>.</summary>
    IReadOnlyList<string> InterruptNames { get; }
}
