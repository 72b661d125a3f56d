using System.Diagnostics.CodeAnalysis;
using Vfio.Abstractions;
using Vfio.Native;
using Vfio.Native.Memory;

namespace Vfio;

/// <summary>An assigned device: regions, interrupts, DMA and reset, independent of how the device is reached.</summary>
/// <remarks>
/// <para>The meaning follows <c>linux/vfio.h</c>. The producer may be the kernel, a vfio-user server, or a guarded model in
/// this process. The device is open as long as the object; disposing it resets and releases the device.</para>
/// <para>Members may be called from any thread. A refusal is a <see cref="VfioException"/> with the errno; an argument that is
/// never valid (a null, a negative) is an <see cref="ArgumentException"/>.</para>
/// </remarks>
public interface IVfioDevice : IDisposable, IAsyncDisposable
{
    /// <summary>As <see cref="IDisposable.Dispose"/>, which may wait for the device or its server, on another thread.</summary>
    ValueTask IAsyncDisposable.DisposeAsync() => new(Task.Run(Dispose));

    /// <summary>The device's address, for messages: <c>model:edu</c>, <c>unix:/run/edu.sock</c>.</summary>
    string Name { get; }

    /// <summary>Raised when the provider lost the device and found it again, as after a reset: mappings and eventfds stay, registers are
    /// lost, and regions have to be mapped again.</summary>
    /// <remarks>Called on a thread of the provider, with no lock held. Most providers never raise it.</remarks>
    event Action? Restarted
    {
        add { }
        remove { }
    }

    /// <summary>What the device is; fixed while it is open.</summary>
    DeviceInfo Info { get; }

    /// <summary>Asks for an optional feature: <see cref="IMigratableDevice"/>, <see cref="IDirtyTracker"/>, <see
    /// cref="IRemovalNotifier"/>, or an interface of one's own.</summary>
    /// <typeparam name="TFeature">The interface of the feature.</typeparam>
    /// <param name="feature">The feature; usable until the device is disposed. Null when there is none.</param>
    /// <returns>Whether the device has it and can do it; the same for as long as the device is open. False also for a device that implements
    /// the interface where <see cref="IMigratableDevice.Migration"/> is none, or <see cref="IDirtyTracker.TracksDirtyPages"/> is false.
    /// </returns>
    /// <remarks>Do not cast a device: a device in front of another implements this interface alone, and passes the question on.</remarks>
    /// <exception cref="VfioException">The device was asked what it can do, and did not answer.</exception>
    bool TryGet<TFeature>([NotNullWhen(true)] out TFeature? feature)
        where TFeature : class
    {
        Type asked = typeof(TFeature);
        bool isAble = asked == typeof(IMigratableDevice) ? this is IMigratableDevice { Migration: not MigrationFeatures.None }
            : asked == typeof(IDirtyTracker) ? this is IDirtyTracker { TracksDirtyPages: true }
            : asked != typeof(IHandoverDevice) || this is IHandoverDevice { CanHandOver: true };
        feature = isAble ? this as TFeature : null;
        return feature is not null;
    }

    /// <summary>Where memory may be mapped, in ascending order and apart; narrower where the provider knows its IOMMU's limits and
    /// reserved ranges.</summary>
    IReadOnlyList<IovaRange> IovaRanges => IovaRange.Default;

    /// <summary>Describes a region; <see cref="RegionInfo.Length"/> 0 when the device has none of that number.</summary>
    /// <exception cref="VfioException">EINVAL: the number is <see cref="DeviceInfo.RegionCount"/> or above.</exception>
    RegionInfo GetRegion(RegionIndex region);

    /// <summary>Describes a kind of interrupt; <see cref="InterruptInfo.Count"/> 0 when the device has none.</summary>
    /// <exception cref="VfioException">EINVAL: the number is <see cref="DeviceInfo.InterruptCount"/> or above.</exception>
    InterruptInfo GetInterrupt(InterruptIndex index);

    /// <summary>Reads bytes of a region. 1, 2, 4 and 8 naturally aligned bytes are one access to the device.</summary>
    /// <exception cref="VfioException">EINVAL: the range leaves the region; EIO: the device did not answer.</exception>
    void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination);

    /// <summary>Writes bytes of a region. 1, 2, 4 and 8 naturally aligned bytes are one access to the device.</summary>
    /// <exception cref="VfioException">EINVAL: the range leaves the region; EIO: the device did not answer.</exception>
    void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source);

    /// <summary>Reads several registers, in their order; asked for all at once where the provider takes that.</summary>
    /// <param name="reads">The reads; each is an access of its own to the device.</param>
    /// <param name="values">Where they go, as little-endian numbers; as many.</param>
    /// <exception cref="VfioException">As for <see cref="ReadRegion"/>; the values before the one at fault are there.</exception>
    void ReadRegions(ReadOnlySpan<RegisterRead> reads, Span<ulong> values)
    {
        for (int i = 0; i < reads.Length; i++)
        {
            values[i] = 0;
            ReadRegion(reads[i].Region, reads[i].Offset, Blittable.AsBytes(ref values[i])[..reads[i].Width]);
        }
    }

    /// <summary>Writes several registers, in their order; one message where the provider takes it as one.</summary>
    /// <param name="writes">The writes; each is an access of its own to the device.</param>
    /// <exception cref="VfioException">As for <see cref="WriteRegion"/>; the writes before the one at fault may have been done.</exception>
    void WriteRegions(ReadOnlySpan<RegisterWrite> writes)
    {
        foreach (RegisterWrite write in writes)
        {
            ulong value = write.Value;
            WriteRegion(write.Region, write.Offset, Blittable.AsBytes(ref value)[..write.Width]);
        }
    }

    /// <summary>The registers of a region that can be rung by an eventfd instead of a write; none unless the provider offers some.</summary>
    /// <exception cref="VfioException">EINVAL: the number is <see cref="DeviceInfo.RegionCount"/> or above.</exception>
    IReadOnlyList<Doorbell> GetDoorbells(RegionIndex region) => [];

    /// <summary>Binds, masks, unmasks or fires interrupt vectors.</summary>
    /// <exception cref="VfioException">EINVAL: no such vectors, or an action the kind does not have.</exception>
    void SetInterrupts(in InterruptRequest request);

    /// <summary>Lets the device use memory at an address.</summary>
    /// <exception cref="VfioException">EEXIST: part of the range is mapped already; EINVAL: it wraps or is not page-aligned;
    /// ENOMEM: a limit is reached.</exception>
    void MapDma(in DmaMapping mapping);

    /// <summary>Unmaps a range; the device does not access its memory once this returns. Only whole mappings can be unmapped.</summary>
    /// <returns>How many bytes were mapped in it.</returns>
    /// <exception cref="VfioException">ENOENT: nothing is mapped there; EINVAL: the range would cut a mapping.</exception>
    ulong UnmapDma(Iova start, ulong length);

    /// <summary>Unmaps all ranges.</summary>
    void UnmapAllDma();

    /// <summary>Resets the device: registers as after power-on, bus master off. Mappings and eventfds stay.</summary>
    /// <exception cref="VfioException">The reset failed, or <see cref="DeviceInfo.CanReset"/> is false (ENOTTY).</exception>
    void Reset();
}
