using Vfio.Native;

namespace Vfio;

/// <summary>A register that a driver only ever writes to say "look": an eventfd does as well as the write.</summary>
/// <remarks>The counterpart of KVM's ioeventfd. Several rings may become one, a ring carries no value but <see cref="Match"/>, and it is
/// not ordered with accesses that take another way: it may overtake a posted write, and a read that follows it may come first.</remarks>
/// <param name="Offset">Where in its region, in bytes.</param>
/// <param name="Width">Which writes ring it: those of this many bytes; 0 for any.</param>
/// <param name="Match">Which value rings it; null for any.</param>
public readonly record struct Doorbell(ulong Offset, int Width, ulong? Match)
{
    /// <summary>What to signal; do not dispose it: the device keeps it open until it is disposed.</summary>
    public EventFd? Event { get; init; }

    /// <summary>Whether a write is a ring.</summary>
    public bool IsRungBy(ulong offset, int width, ulong value) =>
        offset == Offset && (Width == 0 || width == Width) && (Match is null || Match == value);
}
