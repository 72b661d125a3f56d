using System.Globalization;
using Vfio.Pci;

namespace Vfio.Kernel;

/// <summary>One event of a function of this machine, or of an open device.</summary>
/// <param name="Kind">The kind of event.</param>
/// <param name="Device">The device's address; empty for <see cref="DeviceEventKind.Lost"/>.</param>
public sealed record DeviceEvent(DeviceEventKind Kind, string Device)
{
    /// <summary>When it was received, in UTC.</summary>
    public DateTimeOffset At { get; init; } = DateTimeOffset.UtcNow;

    /// <summary>The function of this machine; null for another device.</summary>
    public PciAddress? Function => PciAddress.TryParse(Device, out PciAddress address) ? address : null;

    /// <summary>The driver that was bound or unbound; null if unknown.</summary>
    public string? Driver { get; init; }

    /// <summary>Number of virtual functions after the event.</summary>
    public int? VirtualFunctions { get; init; }

    /// <summary>How long the device may be kept; null when its owner waits without a limit, as the kernel does.</summary>
    public TimeSpan? Within { get; init; }

    /// <summary>The kernel's word for the event, if it has one.</summary>
    public string? Detail { get; init; }

    /// <summary>A line of text: <c>0000:01:00.0 bound to vfio-pci</c>.</summary>
    public override string ToString() => Kind switch
    {
        DeviceEventKind.Bound => $"{Device} bound to {Driver}",
        DeviceEventKind.Unbound => $"{Device} unbound from {Driver ?? "its driver"}",
        DeviceEventKind.VirtualFunctionsChanged => $"{Device} has {VirtualFunctions} virtual functions",
        DeviceEventKind.Error => $"{Device} error{(Detail is null ? "" : ": " + Detail)}",
        DeviceEventKind.ReleaseRequested =>
            $"{Device} release requested{(Within is { } time ? string.Create(CultureInfo.InvariantCulture, $" within {time.TotalSeconds} s") : "")}",
        DeviceEventKind.Lost => "events were lost",
        _ => $"{Device} {Kind.ToString().ToLowerInvariant()}",
    };
}
