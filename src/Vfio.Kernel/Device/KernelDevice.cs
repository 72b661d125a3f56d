using Vfio.Kernel.Device;
using Vfio.Native;
using Vfio.Native.Kernel;
using Vfio.Native.Memory;
using Vfio.Pci;
using Vfio.Pci.Config;

namespace Vfio.Kernel;

/// <summary>A device that the kernel assigns through <c>/dev/vfio</c>.</summary>
/// <remarks>
/// <para>There are two VFIO interfaces. By the older one a device comes from its group, and memory is mapped in a container of type 1; by the newer
/// one (Linux 6.6) it has a file of its own, and memory is mapped with iommufd. What can be done is the same.</para>
/// <para>Any thread may call. Disposing gives the device back: the kernel resets it, and takes its interrupts and mappings away.</para>
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
        Info = new DeviceInfo((DeviceFlags)info.flags & (DeviceFlags.Reset | DeviceFlags.Pci), (int)info.num_regions, (int)info.num_irqs);
        _regions = new RegionTable(file, Info.RegionCount);
        _migration = new KernelMigration(file);
        _tracking = new DirtyTracking(new DmaLogging(file), space, file.Name);
    }

    /// <inheritdoc/>
    public string Name => _file.Name;

    /// <inheritdoc/>
    public DeviceInfo Info { get; }

    internal bool IsDisposed => Volatile.Read(ref _disposed) != 0;

    /// <summary>The I/O address space that the device sees.</summary>
    public DmaSpace Space { get; }

    /// <inheritdoc/>
    public IReadOnlyList<IovaRange> IovaRanges => Space.Ranges;

    /// <summary>Opens a function of this machine that a vfio driver has.</summary>
    /// <param name="function">Where it is.</param>
    /// <param name="options">By which interface, and into which address space; null for what is there.</param>
    /// <exception cref="VfioException">ENODEV: no such function, or none that a vfio driver has; EACCES: its file belongs to somebody else;
    /// EPERM: not all of its group is assigned; EBUSY: in use. The message says what to do.</exception>
    public static KernelDevice Open(PciAddress function, KernelDeviceOptions? options = null) =>
        new DeviceOpener(function, options ?? new KernelDeviceOptions()).Open();

    /// <summary>Opens a mediated device (mdev): a part of a device, or one of software, that a driver in the kernel assigns.</summary>
    /// <param name="device">Its UUID.</param>
    /// <param name="options">As for a function.</param>
    /// <exception cref="VfioException">ENODEV: there is none; EACCES: its file belongs to somebody else; EBUSY: in use.</exception>
    public static KernelDevice OpenMediated(Guid device, KernelDeviceOptions? options = null) =>
        new DeviceOpener(device, options ?? new KernelDeviceOptions()).Open();

    /// <summary>Takes a device whose descriptor another process opened and passed, so that this one needs no access to <c>/dev</c>.</summary>
    /// <param name="device">From its group, or from <c>/dev/vfio/devices</c>; owned from here on, also when this throws.</param>
    /// <param name="space">The address space, made of a descriptor that was passed too: the container that the device's group is in,
    /// or <c>/dev/iommu</c>. Owned by the caller.</param>
    /// <param name="name">A name, for messages.</param>
    public static KernelDevice Adopt(FileDescriptor device, DmaSpace space, string name)
    {
        ArgumentNullException.ThrowIfNull(device);
        ArgumentNullException.ThrowIfNull(space);
        DeviceFile file = new(device, name);
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

        // A device that was removed gives all ones.
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
    /// <remarks>That is all of <see cref="Space"/>, also what was mapped through another device in it.</remarks>
    public void UnmapAllDma() => Space.UnmapAll();

    /// <inheritdoc/>
    public void Reset()
    {
        // What can be migrated can be reset: nothing else leads out of an error.
        if (!Info.CanReset && Migration == MigrationFeatures.None)
            throw new VfioException("VFIO_DEVICE_RESET", Name, Errno.NoSuchOperation, "the function cannot be reset alone; see its bus reset");
        _migration.Reset(_file.Reset);
    }

    /// <summary>The functions that a reset of its bus or slot resets, itself among them; empty when it cannot be reset so.</summary>
    public IReadOnlyList<PciAddress> BusResetFunctions =>
        [.. _file.GetPciHotResetInfo().Select(other => new PciAddress(other.segment, other.bus, (byte)(other.devfn >> 3), (byte)(other.devfn & 7)))];

    /// <summary>Resets its bus or slot, and so all of <see cref="BusResetFunctions"/>.</summary>
    /// <exception cref="VfioException">Not all of them are open in this process.</exception>
    public void ResetBus() => _migration.Reset(() => _file.PciHotReset(_group is GroupFile group ? [group.Descriptor.Number] : []));

    /// <summary>Lets the device sleep (runtime power management) until <see cref="ExitLowPower"/>; regions must not be touched meanwhile.</summary>
    /// <exception cref="VfioException">ENOTTY: the kernel cannot.</exception>
    public void EnterLowPower() => _file.Feature(DeviceFeatureCalls.SetLowPowerEntry, []);

    /// <summary>The same, and tells when something else woke it: the host, which needed it, or the device itself. It is awake then, and
    /// stays so.</summary>
    /// <param name="woken">Signalled then.</param>
    /// <exception cref="VfioException">ENOTTY: the kernel cannot.</exception>
    public void EnterLowPower(EventFd woken)
    {
        ArgumentNullException.ThrowIfNull(woken);
        vfio_device_low_power_entry_with_wakeup entry = new() { wakeup_eventfd = woken.Descriptor.Number };
        _file.Feature(DeviceFeatureCalls.SetLowPowerEntryWithWakeup, Blittable.AsBytes(ref entry));
    }

    /// <summary>Wakes it.</summary>
    public void ExitLowPower() => _file.Feature(DeviceFeatureCalls.SetLowPowerExit, []);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;

        _migration.Dispose();
        _tracking.Dispose();

        // The device first: it is reset, and so quiet, before its memory goes.
        _file.Dispose();
        _group?.Dispose();
        _ownSpace?.Dispose();
    }

    /// <summary>Whether nobody answers in config space any more: the ids are the kernel's own copy, and no Header Type is all ones.</summary>
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
            return new VfioException(operation, Name, Errno.InputOutput, "the device answered nothing");
        VfioException refusal = VfioException.FromLastError(operation, Name);
        return refusal.Errno is Errno.InputOutput or Errno.NoDevice && IsGone
            ? new VfioException(operation, Name, Errno.NoDevice, Removed)
            : refusal;
    }
}
