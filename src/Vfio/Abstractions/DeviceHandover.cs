using Vfio.Native;

namespace Vfio.Abstractions;

/// <summary>A suspended device on its way to another process; see <see cref="IHandoverDevice"/>.</summary>
internal sealed record DeviceHandover
{
    /// <summary>The state of registers and device, as <see cref="IMigratableDevice.ReadMigrationData"/> returns it, without the
    /// memory that is in <see cref="Memory"/>.</summary>
    public required ReadOnlyMemory<byte> State { get; init; }

    /// <summary>The memory that it may use.</summary>
    public IReadOnlyList<DmaMapping> Mappings { get; init; } = [];

    /// <summary>The eventfds that it signals and listens to; those that it signals come first.</summary>
    public IReadOnlyList<BoundEvent> Events { get; init; } = [];

    /// <summary>The regions whose memory its user may have mapped.</summary>
    public IReadOnlyList<RegionMemory> Memory { get; init; } = [];

    /// <summary>The doorbells that its user knows, with their eventfds.</summary>
    public IReadOnlyList<RegionDoorbell> Doorbells { get; init; } = [];

    /// <summary>The kinds (ERR, REQ) that are pending without an eventfd.</summary>
    public IReadOnlyList<InterruptIndex> UnboundKinds { get; init; } = [];
}

/// <summary>An eventfd that is bound to a vector.</summary>
/// <param name="Index">The kind of interrupt.</param>
/// <param name="Action">Its use: the device signals it for <see cref="InterruptAction.Trigger"/>, and listens to the others.</param>
/// <param name="Vector">The vector, from 0.</param>
/// <param name="Event">The eventfd; the caller keeps it.</param>
internal readonly record struct BoundEvent(InterruptIndex Index, InterruptAction Action, int Vector, FileDescriptor Event);

/// <summary>The memory of a region.</summary>
/// <param name="Region">Which region.</param>
/// <param name="File">The file that it is in; the caller keeps it.</param>
/// <param name="FileOffset">Offset in the file, in bytes.</param>
/// <param name="Length">Size in bytes.</param>
internal readonly record struct RegionMemory(RegionIndex Region, FileDescriptor File, ulong FileOffset, ulong Length);

/// <summary>A doorbell of a region.</summary>
/// <param name="Region">Which region.</param>
/// <param name="Bell">The doorbell; do not dispose its eventfd.</param>
internal readonly record struct RegionDoorbell(RegionIndex Region, Doorbell Bell);
