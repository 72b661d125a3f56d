using Vfio.Kernel.Device;
using Vfio.Native;
using Vfio.Native.Kernel;
using Vfio.Native.Memory;
using Vfio.Pci;
using Vfio.Pci.Config;

namespace Vfio.Kernel;

/// <summary>A device that the kernel provides through <c>/dev/vfio</c>.</summary>
/// <remarks>
/// <para>There are two VFIO interfaces with the same features. With the group interface a device is opened from its group, and memory is
/// mapped in a container of type 1. With the cdev interface (Linux 6.6) it has a file of its own, and memory is mapped with iommufd.</para>
/// <para>Any thread may call. Disposing closes the device: the kernel resets it, and removes its interrupts and mappings.</para>
/// </remarks>
public sealed partial class KernelDevice : IVfioDevice, IMigratableDevice, IDirtyTracker
{
    private const string Removed = "it was removed; dispose it";
    private const ulong HeaderType = 0x0e;
    private readonly DeviceFile _file;
    private readonly IDisposable? _group;
    private readonly DmaSpace? _ownSpace;
    private readonly RegionTable _regions;
    private readonly KernelMigration _migration;
    private readonly DirtyTracking _tracking;
    private int _disposed;

    internal KernelDevice(DeviceFile file, IDisposable? group, DmaSpace space, bool ownsSpace)
    {
        _file = file;
        _group = group;
        Space = space;
        _ownSpace = ownsSpace ? space : null;
        vfio_device_info info = file.GetInfo();
        Info = new DeviceInfo((DeviceFlags)info.flags & (DeviceFlags.Reset | DeviceFlags.Pci | DeviceFlags.Platform), (int)info.num_regions, (int)info.num_irqs);
        _regions = new RegionTable(file, Info.RegionCount);
        _migration = new KernelMigration(file);
        _tracking = new DirtyTracking(new DmaLogging(file), space, file.Name);
    }

    /// <inheritdoc/>
    public string Name => _file.Name;

    /// <inheritdoc/>
    public DeviceInfo Info { get; }

    internal bool IsDisposed => Volatile.Read(ref _disposed) != 0;

    /// <summary>The I/O address space that the device uses.</summary>
    public DmaSpace Space { get; }

    /// <inheritdoc/>
    public IReadOnlyList<IovaRange> IovaRanges => Space.Ranges;

    /// <summary>Opens a function of this machine that is bound to a VFIO driver.</summary>
    /// <param name="function">Its address.</param>
    /// <param name="options">The interface and the address space; null for the defaults.</param>
    /// <exception cref="VfioException">ENODEV: no such function, or it is not bound to a VFIO driver; EACCES: its file belongs to another user;
    /// EPERM: its group is not viable; EBUSY: in use. The message says what to do.</exception>
    public static KernelDevice Open(PciAddress function, KernelDeviceOptions? options = null) =>
        new DeviceOpener(function, options ?? new KernelDeviceOptions()).Open();

    /// <summary>Opens a mediated device (mdev): a part of a device, or an emulated device, of a driver in the kernel.</summary>
    /// <param name="device">Its UUID.</param>
    /// <param name="options">As for a function.</param>
    /// <exception cref="VfioException">ENODEV: there is none; EACCES: its file belongs to another user; EBUSY: in use.</exception>
    public static KernelDevice OpenMediated(Guid device, KernelDeviceOptions? options = null) =>
        new DeviceOpener(device, options ?? new KernelDeviceOptions()).Open();

    /// <summary>Adopts a device whose descriptor another process opened and passed, so that this process needs no access to <c>/dev</c>.</summary>
    /// <param name="device">From its group, or from <c>/dev/vfio/devices</c>; owned from here on, also when this throws.</param>
    /// <param name="space">The address space, made of a descriptor that was passed too: the container of the device's group, or
    /// <c>/dev/iommu</c>. Owned by the caller.</param>
    /// <param name="name">A name, for messages.</param>
    public static KernelDevice Adopt(FileDescriptor device, DmaSpace space, string name) => AdoptBound(device, space, name, boundNumber: null);

    /// <summary>As <see cref="Adopt"/>, of a device that may be bound already.</summary>
    /// <param name="device">As there.</param>
    /// <param name="space">As there.</param>
    /// <param name="name">As there.</param>
    /// <param name="boundNumber">The device's number in the iommufd, where it is bound to that already.</param>
    internal static KernelDevice AdoptBound(FileDescriptor device, DmaSpace space, string name, uint? boundNumber)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentNullException.ThrowIfNull(space);
        DeviceFile file = new(device, name);
        if (boundNumber is { } number)
            file.TakeBound(number);
        try
        {
            space.Admit(file);
            return new KernelDevice(file, group: null, space, ownsSpace: false);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public RegionInfo GetRegion(RegionIndex region) => _regions.Get(region);

    /// <inheritdoc/>
    public InterruptInfo GetInterrupt(InterruptIndex index)
    {
        if (index.Value >= (uint)Info.InterruptCount)
            throw new VfioException($"info of {index}", Name, Errno.InvalidArgument, $"the device has {Info.InterruptCount} kinds of interrupt");
        vfio_irq_info info = _file.GetIrqInfo(index.Value);
        return new InterruptInfo(index, (int)info.count, (InterruptFlags)info.flags);
    }

    /// <inheritdoc/>
    public void ReadRegion(RegionIndex region, ulong offset, Span<byte> destination)
    {
        ulong place = _regions.Locate(region, offset, destination.Length);
        for (int done = 0; done < destination.Length;)
        {
            int count = _file.Read(place + (ulong)done, destination[done..]);
            if (count <= 0)
                throw Refused("read", region, offset + (ulong)done, count);
            done += count;
        }

        // Config space of a removed device reads as all ones.
        if (destination.Length >= sizeof(uint) && !destination.ContainsAnyExcept(byte.MaxValue) && IsGone)
            throw new VfioException($"read of {region} at 0x{offset:x}", Name, Errno.NoDevice, Removed);
    }

    /// <inheritdoc/>
    public void WriteRegion(RegionIndex region, ulong offset, ReadOnlySpan<byte> source)
    {
        ulong place = _regions.Locate(region, offset, source.Length);
        while (source.Length > 0)
        {
            int count = _file.Write(place, source);
            if (count <= 0)
                throw Refused("write", region, offset, count);
            source = source[count..];
            place += (ulong)count;
            offset += (ulong)count;
        }
    }

    /// <inheritdoc/>
    public void SetInterrupts(in InterruptRequest request) => InterruptCalls.Set(_file, request);

    /// <inheritdoc/>
    public void MapDma(in DmaMapping mapping) => Space.Map(mapping);

    /// <inheritdoc/>
    public ulong UnmapDma(Iova start, ulong length) => Space.Unmap(start, length);

    /// <inheritdoc/>
    /// <remarks>It unmaps all of <see cref="Space"/>, also mappings made through another device in it.</remarks>
    public void UnmapAllDma() => Space.UnmapAll();

    /// <inheritdoc/>
    public void Reset()
    {
        // A device that can be migrated can be reset: nothing else leaves the state Error.
        if (!Info.CanReset && Migration == MigrationFeatures.None)
            throw new VfioException("VFIO_DEVICE_RESET", Name, Errno.NoSuchOperation, "the function cannot be reset alone; see its bus reset");
        _migration.Reset(_file.Reset);
    }

    /// <summary>The functions that a reset of its bus or slot resets, itself included; empty when there is no such reset.</summary>
    public IReadOnlyList<PciAddress> BusResetFunctions =>
        [.. _file.GetPciHotResetInfo().Select(other => new PciAddress(other.segment, other.bus, (byte)(other.devfn >> 3), (byte)(other.devfn & 7)))];

    /// <summary>Resets its bus or slot, and so all of <see cref="BusResetFunctions"/>.</summary>
    /// <exception cref="VfioException">Not all of them are open in this process.</exception>
    public void ResetBus() => _migration.Reset(() => _file.PciHotReset(_group is GroupFile group ? [group.Descriptor.Number] : []));

    /// <summary>Puts the device into a low-power state (runtime power management) until <see cref="ExitLowPower"/>; regions must not be accessed
    /// meanwhile.</summary>
    /// <exception cref="VfioException">ENOTTY: the kernel does not support it.</exception>
    public void EnterLowPower() => _file.Feature(DeviceFeatureCalls.SetLowPowerEntry, []);

    /// <summary>The same, with a signal when the host or the device itself wakes it. It then stays awake.</summary>
    /// <param name="woken">Signalled when it wakes.</param>
    /// <exception cref="VfioException">ENOTTY: the kernel does not support it.</exception>
    public void EnterLowPower(EventFd woken)
    {
        ArgumentNullException.ThrowIfNull(woken);
        vfio_device_low_power_entry_with_wakeup entry = new() { wakeup_eventfd = woken.Descriptor.Number };
        _file.Feature(DeviceFeatureCalls.SetLowPowerEntryWithWakeup, Blittable.AsBytes(ref entry));
    }

    /// <summary>Wakes the device.</summary>
    public void ExitLowPower() => _file.Feature(DeviceFeatureCalls.SetLowPowerExit, []);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;

        _migration.Dispose();
        _tracking.Dispose();

        // The device first: it is reset, and does no DMA, before its memory is unmapped.
        _file.Dispose();
        _group?.Dispose();
        _ownSpace?.Dispose();
    }

    /// <summary>Whether config space does not answer any more. Header Type is read: no valid one is all ones, and the kernel answers the ids
    /// from a copy.</summary>
    private bool IsGone
    {
        get
        {
            byte layout = byte.MaxValue;
            int count = _file.Read(_regions.Get(RegionIndex.Config).FileOffset + HeaderType, Blittable.AsBytes(ref layout));
            return count < sizeof(byte) || layout == byte.MaxValue;
        }
    }

    private VfioException Refused(string what, RegionIndex region, ulong offset, int count)
    {
        string operation = $"{what} of {region} at 0x{offset:x}";
        if (count == 0)
            return new VfioException(operation, Name, Errno.InputOutput, "the device did not answer");
        VfioException refusal = VfioException.FromLastError(operation, Name);
        return refusal.Errno is Errno.InputOutput or Errno.NoDevice && IsGone
            ? new VfioException(operation, Name, Errno.NoDevice, Removed)
            : refusal;
    }
}
