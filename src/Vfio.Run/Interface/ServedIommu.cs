using System.Diagnostics.CodeAnalysis;
using Vfio.Native;
using Vfio.Native.Kernel;
using Vfio.Native.Memory;

namespace Vfio.Run.Interface;

/// <summary><c>/dev/iommu</c>: an iommufd and its objects, <c>drivers/iommu/iommufd/main.c</c>.</summary>
/// <remarks>Bound devices and groups keep it open. Its lock is taken before that of an address space.</remarks>
internal sealed class ServedIommu : ServedFile
{
    private const uint FirstRequest = 0x3b80, LastRequest = 0x3b95;
    private readonly Dictionary<uint, IommuObject> _objects = [];
    private readonly SortedSet<uint> _freed = [];
    private readonly IoasCommands _spaces;
    private readonly PageTableCommands _tables;
    private readonly VfioCompatibility _compatibility;
    private readonly RunRecord _record;

    /// <summary>Makes an empty one.</summary>
    /// <param name="record">Where it is recorded what is left behind.</param>
    internal ServedIommu(RunRecord record)
    {
        _record = record;
        _spaces = new IoasCommands(this);
        _tables = new PageTableCommands(this);
        _compatibility = new VfioCompatibility(this);
    }

    /// <summary>Held to read and change objects.</summary>
    internal Lock Lock { get; } = new();

    /// <summary>The address space of the container's ioctls; null when there is none.</summary>
    internal Ioas? VfioSpace { get; set; }

    /// <summary>All objects.</summary>
    internal IEnumerable<IommuObject> Objects => _objects.Values;

    /// <summary>Adds an object, with the lowest number that is free.</summary>
    internal void Add(IommuObject added)
    {
        added.Id = _freed.Count > 0 ? _freed.Min : (uint)_objects.Count + 1;
        _freed.Remove(added.Id);
        _objects.Add(added.Id, added);
    }

    /// <summary>Finds an object of a kind.</summary>
    /// <typeparam name="T">The kind.</typeparam>
    /// <returns>False: ENOENT.</returns>
    internal bool TryGet<T>(uint id, [NotNullWhen(true)] out T? found)
        where T : IommuObject
    {
        found = _objects.GetValueOrDefault(id) as T;
        return found is not null;
    }

    /// <summary>Removes an object that nobody uses.</summary>
    internal void Remove(IommuObject removed)
    {
        _objects.Remove(removed.Id);
        _freed.Add(removed.Id);
        if (VfioSpace == removed)
            VfioSpace = null;
        removed.Destroy();
    }

    /// <summary>Gives a device that was just opened a number.</summary>
    /// <param name="device">The device.</param>
    /// <param name="attachesVfioSpace">Whether it uses the address space of the container's ioctls at once, as a group's device.</param>
    /// <returns>EPERM: another iommufd has a device of its group; ENODEV: there is no such address space. The device is not bound then.
    /// </returns>
    /// <exception cref="VfioException">The device refuses a mapping; it is not bound then.</exception>
    internal Errno Bind(OpenDevice device, bool attachesVfioSpace)
    {
        lock (Lock)
        {
            if (attachesVfioSpace && VfioSpace is null)
                return Errno.NoDevice;
            IommuDevice bound = new(device) { Users = 1 };
            Add(bound);
            device.Bound = (this, bound);
            if (!attachesVfioSpace)
                return Errno.None;
            Errno error = Errno.None;
            try
            {
                error = _tables.Attach(bound, VfioSpace!, out _);
                return error;
            }
            finally
            {
                if (bound.Table is null)
                    Unbind(bound);
            }
        }
    }

    /// <summary>Takes its number from a device, and its page table.</summary>
    internal void Unbind(IommuDevice bound)
    {
        lock (Lock)
        {
            _tables.Detach(bound);
            bound.Device.Bound = null;
            Remove(bound);
        }
    }

    /// <summary>VFIO_DEVICE_ATTACH_IOMMUFD_PT.</summary>
    /// <param name="bound">The device.</param>
    /// <param name="target">An address space or a page table; the page table that it uses then.</param>
    internal Errno Attach(IommuDevice bound, ref uint target)
    {
        lock (Lock)
        {
            if (!TryGet(target, out IommuObject? found))
                return Errno.NoEntry;
            Errno error = _tables.Attach(bound, found, out PageTable? table);
            if (error == Errno.None)
                target = table!.Id;
            return error;
        }
    }

    /// <summary>VFIO_DEVICE_DETACH_IOMMUFD_PT.</summary>
    internal void Detach(IommuDevice bound)
    {
        lock (Lock)
            _tables.Detach(bound);
    }

    /// <summary>Makes the address space of the container's ioctls, where there is none: a group was put into this iommufd.</summary>
    internal void EnsureVfioSpace()
    {
        lock (Lock)
        {
            if (VfioSpace is not null)
                return;
            VfioSpace = new Ioas();
            Add(VfioSpace);
        }
    }

    /// <inheritdoc/>
    protected override long OnIoctl(ICaller caller, uint request, ulong argument)
    {
        lock (Lock)
        {
            if (request is < FirstRequest or > LastRequest)
                return _compatibility.Ioctl(caller, request, argument);
            if (!caller.TryRead(argument, out uint size))
                return Answer.Of(Errno.BadAddress);
            return (KernelRequest)request switch
            {
                KernelRequest.IOMMU_DESTROY => Destroy(caller, argument, size),
                KernelRequest.IOMMU_OPTION => SetOption(caller, argument, size),
                KernelRequest.IOMMU_VFIO_IOAS => _compatibility.SetSpace(caller, argument, size),
                _ => _spaces.Ioctl(caller, (KernelRequest)request, argument, size) ?? _tables.Ioctl(caller, (KernelRequest)request, argument, size)
                    ?? Answer.Of(Errno.NoSuchOperation),
            };
        }
    }

    /// <inheritdoc/>
    protected override ServedMapping OnMap(ulong offset, ulong length, bool isWritable) => ServedMapping.Refused(Errno.NoDeviceOrAddress);

    /// <inheritdoc/>
    protected override void OnClose()
    {
        lock (Lock)
        {
            // A page table is a user of its address space; devices keep this file open, so there are none.
            foreach (IommuObject left in _objects.Values.OrderBy(found => found is Ioas))
            {
                if (left is Ioas space)
                    space.Space.FindLeaks(_record, "/dev/iommu");
                left.Destroy();
            }

            _objects.Clear();
        }
    }

    private long Destroy(ICaller caller, ulong argument, uint size)
    {
        Errno error = Read(caller, argument, size, Blittable.SizeOf<iommu_destroy>(), out iommu_destroy destroy);
        if (error != Errno.None)
            return Answer.Of(error);
        if (!TryGet(destroy.id, out IommuObject? found))
            return Answer.Of(Errno.NoEntry);
        if (found.Users > 0)
            return Answer.Of(Errno.Busy);
        Remove(found);
        return 0;
    }

    private long SetOption(ICaller caller, ulong argument, uint size)
    {
        const uint AccountingMode = 0, HugePages = 1;
        Errno error = Read(caller, argument, size, Blittable.SizeOf<iommu_option>(), out iommu_option option);
        if (error == Errno.None && option.__reserved != 0)
            error = Errno.NotSupported;
        if (error == Errno.None)
        {
            error = option.option_id switch
            {
                AccountingMode => SetAccounting(ref option),
                HugePages => _spaces.SetHugePages(ref option),
                _ => Errno.NotSupported,
            };
        }

        return error != Errno.None ? Answer.Of(error) : caller.Answer(argument, option);
    }

    /// <summary>How locked memory is accounted: by the user here, as nothing is locked; another way needs a privilege.</summary>
    private static Errno SetAccounting(ref iommu_option option)
    {
        const ushort Set = 0, Get = 1;
        if (option.object_id != 0)
            return Errno.NotSupported;
        if (option.op == Get)
            option.val64 = 0;
        return option.op switch
        {
            Set => Errno.OperationNotPermitted,
            Get => Errno.None,
            _ => Errno.NotSupported,
        };
    }

    /// <summary>Reads the struct of a request.</summary>
    /// <typeparam name="T">The struct.</typeparam>
    /// <param name="caller">Who asks.</param>
    /// <param name="argument">Where it is.</param>
    /// <param name="size">The size that it says.</param>
    /// <param name="leastBytes">The least that a request has.</param>
    /// <param name="value">The struct.</param>
    /// <returns>EINVAL: it is too short; E2BIG; EFAULT.</returns>
    internal static Errno Read<T>(ICaller caller, ulong argument, uint size, int leastBytes, out T value)
        where T : unmanaged
    {
        value = default;
        return size < leastBytes ? Errno.InvalidArgument : caller.ReadStruct(argument, size, out value);
    }

    /// <summary>Writes the struct back, as much of it as the caller has.</summary>
    /// <typeparam name="T">The struct.</typeparam>
    internal static long Respond<T>(ICaller caller, ulong argument, uint size, T value)
        where T : unmanaged => caller.Answer(argument, value, (int)Math.Min(size, (uint)Blittable.SizeOf<T>()));
}
