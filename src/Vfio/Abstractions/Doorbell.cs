using Vfio.Native;

namespace Vfio;

/// <summary>A register whose write can be made by signalling an eventfd.</summary>
/// <remarks>The counterpart of KVM's ioeventfd. Several signals may become one, and a signal carries no value but <see cref="Match"/>. It
/// is not ordered with accesses that take another way: it may overtake a posted write, and a read that follows it may come first.</remarks>
/// <param name="Offset">Offset in its region, in bytes.</param>
/// <param name="Width">The width of the writes that it stands for, in bytes; 0 for any.</param>
/// <param name="Match">The value of the writes that it stands for; null for any.</param>
public readonly record struct Doorbell(ulong Offset, int Width, ulong? Match)
{
    /// <summary>The eventfd to signal. Do not dispose it: the device keeps it open until it is disposed.</summary>
    public EventFd? Event { get; init; }

    /// <summary>Whether a write is one that the doorbell stands for.</summary>
    public bool IsRungBy(ulong offset, int width, ulong value) =>
        offset == Offset && (Width == 0 || width == Width) && (Match is null || Match == value);
}
