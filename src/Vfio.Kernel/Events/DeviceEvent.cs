using System.Globalization;
using Vfio.Pci;

namespace Vfio.Kernel;

/// <summary>One thing that happened.</summary>
/// <param name="Kind">What.</param>
/// <param name="Device">To which device, as its address is written; empty for <see cref="DeviceEventKind.Lost"/>.</param>
public sealed record DeviceEvent(DeviceEventKind Kind, string Device)
{
    /// <summary>When it was heard of, in UTC.</summary>
    public DateTimeOffset At { get; init; } = DateTimeOffset.UtcNow;

    /// <summary>The function of this machine that it happened to; null for a device that is none.</summary>
    public PciAddress? Function => PciAddress.TryParse(Device, out PciAddress address) ? address : null;

    /// <summary>The driver that was bound or unbound; null where it is not known.</summary>
    public string? Driver { get; init; }

    /// <summary>How many virtual functions it has now.</summary>
    public int? VirtualFunctions { get; init; }

    /// <summary>How long the device may be kept still; null when its owner waits without a limit, as the kernel does.</summary>
    public TimeSpan? Within { get; init; }

    /// <summary>The kernel's word for what happened, where it has one.</summary>
    public string? Detail { get; init; }

    /// <summary>In words: <c>0000:01:00.0 bound to vfio-pci</c>.</summary>
    public override string ToString() => Kind switch
    {
        DeviceEventKind.Bound => $"{Device} bound to {Driver}",
        DeviceEventKind.Unbound => $"{Device} unbound from {Driver ?? "its driver"}",
        DeviceEventKind.VirtualFunctionsChanged => $"{Device} has {VirtualFunctions} virtual functions",
        DeviceEventKind.Error => $"{Device} error{(Detail is null ? "" : ": " + Detail)}",
        DeviceEventKind.ReleaseRequested =>
            $"{Device} asked to be released{(Within is { } time ? string.Create(CultureInfo.InvariantCulture, $" within {time.TotalSeconds} s") : "")}",
        DeviceEventKind.Lost => "events were lost",
        _ => $"{Device} {Kind.ToString().ToLowerInvariant()}",
    };
}
