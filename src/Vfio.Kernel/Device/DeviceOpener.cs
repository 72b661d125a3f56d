using Vfio.Kernel.Topology;
using Vfio.Native;
using Vfio.Native.Kernel;
using Vfio.Pci;

namespace Vfio.Kernel.Device;

/// <summary>Opens a function, or a mediated device, by one of the two VFIO interfaces.</summary>
internal sealed class DeviceOpener
{
    private readonly KernelDeviceOptions _options;
    private readonly SysfsFolder _sysfs;

    // A mediated device is alone in its group, and assigned as long as it exists.
    private readonly KernelFunction? _function;

    internal DeviceOpener(PciAddress address, KernelDeviceOptions options)
    {
        _options = options;
        _function = new PciTopology(options.Sysfs).Find(address);
        _sysfs = _function.Sysfs;
    }

    internal DeviceOpener(Guid mediated, KernelDeviceOptions options)
    {
        _options = options;
        _sysfs = new SysfsFolder(Path.Combine(options.Sysfs, "bus/mdev/devices", mediated.ToString()), $"mdev:{mediated}");
        if (!Directory.Exists(_sysfs.FullPath))
        {
            throw new VfioException("open", Name, Errno.NoDevice,
                "root makes one by writing its UUID to /sys/class/mdev_bus/PARENT/mdev_supported_types/TYPE/create");
        }
    }

    private string Name => _sysfs.Device;

    private bool IsAssigned => _function is null || _function.VfioDriver is not null;

    /// <summary>Opens it.</summary>
    internal KernelDevice Open()
    {
        string? node = _sysfs.VfioDevice;
        VfioInterface vfioInterface = _options.Interface;
        if (vfioInterface == VfioInterface.Any)
        {
            vfioInterface = PreferDevice(node) ? VfioInterface.Cdev : VfioInterface.Group;
            if (vfioInterface == VfioInterface.Group && node is not null && _options.Space is null)
                KernelLog.FellBack(_options.Logger, Name, node);
        }

        KernelDevice opened = vfioInterface == VfioInterface.Cdev ? OpenDevice(node) : OpenGroup();
        KernelLog.Opened(_options.Logger, Name, vfioInterface);
        return opened;
    }

    /// <summary>Opens it for another process, which adopts it.</summary>
    /// <exception cref="VfioException">As for <see cref="Open"/>; EOPNOTSUPP: without an IOMMU it would reach all memory.</exception>
    internal PassableDevice OpenToPass()
    {
        if (_function is { IsUntranslated: true })
            throw new VfioException("open", Name, Errno.NotSupported, "there is no IOMMU: who has it reaches all memory");
        string? node = _sysfs.VfioDevice;
        bool isOwnFile = _options.Interface == VfioInterface.Cdev || (_options.Interface == VfioInterface.Any && PreferDevice(node));
        if (!isOwnFile)
            return OpenGroup((file, group, space) => new PassableDevice(file, group, space));
        if (node is null)
            throw NoNode();
        DeviceFile file = new(KernelFile.Open(PathOf(node), HintFor(PathOf(node))), Name);
        FileDescriptor? iommu = null;
        try
        {
            iommu = KernelFile.Open("/dev/iommu", ErrorHint.Iommufd);
            IommuFile space = new(iommu);
            space.CountMemoryOfUser();

            // Bound before it is passed: the kernel lets a device that nobody has bound be opened and bound by somebody else, and then again
            // by who has a copy of this file, whose lease may have ended long ago.
            file.BindIommufd(space);
            return new PassableDevice(file, iommu);
        }
        catch
        {
            iommu?.Dispose();
            file.Dispose();
            throw;
        }
    }

    private bool PreferDevice(string? node) => _options.Space switch
    {
        IommufdSpace => true,
        TypeOneSpace => false,
        _ => node is not null && KernelFile.MayOpen("/dev/iommu") && KernelFile.MayOpen(PathOf(node)),
    };

    private KernelDevice OpenDevice(string? node)
    {
        if (node is null)
            throw NoNode();
        DeviceFile file = new(KernelFile.Open(PathOf(node), HintFor(PathOf(node))), Name);
        IommufdSpace? space = null;
        try
        {
            space = _options.Space as IommufdSpace ?? new IommufdSpace();
            space.Admit(file);
            return new KernelDevice(file, null, space, ownsSpace: _options.Space is null);
        }
        catch (VfioException refusal) when (refusal.Errno == Errno.OperationNotPermitted && _function?.GroupViability.Answer == Answer.No)
        {
            Close();
            throw new VfioException("open", Name, Errno.OperationNotPermitted, NotViable);
        }
        catch (VfioException refusal) when (refusal.Errno == Errno.InvalidArgument && refusal.Operation == "VFIO_DEVICE_BIND_IOMMUFD")
        {
            Close();
            throw new VfioException("open", Name, Errno.InvalidArgument, "another program has it open");
        }
        catch
        {
            Close();
            throw;
        }

        void Close()
        {
            file.Dispose();
            if (_options.Space is null)
                space?.Dispose();
        }
    }

    private KernelDevice OpenGroup() => OpenGroup((file, group, space) => new KernelDevice(file, group, space, ownsSpace: _options.Space is null));

    private VfioException NoNode() => new("open", Name, Errno.NoDevice,
        !IsAssigned ? NotAssigned : "the kernel has no device files (6.6 and CONFIG_VFIO_DEVICE_CDEV); use its group");

    private TDevice OpenGroup<TDevice>(Func<DeviceFile, GroupFile, TypeOneSpace, TDevice> make)
    {
        if (_sysfs.IommuGroup is not { } number)
            throw new VfioException("open", Name, Errno.NoDevice, "it is in no IOMMU group; turn the IOMMU on (intel_iommu=on or amd_iommu=on)");
        if (!IsAssigned)
            throw new VfioException("open", Name, Errno.NoDevice, NotAssigned);

        // The group of a mediated device, which has no IOMMU of its own, has the name of a no-IOMMU group.
        bool isTranslated = _function is not { IsUntranslated: true };
        string path = PathOf(isTranslated ? number : $"noiommu-{number}");
        GroupFile group = new(KernelFile.Open(path, HintFor(path)), path);
        TypeOneSpace? space = null;
        DeviceFile? file = null;
        try
        {
            if ((group.GetStatus() & GroupStatus.Viable) == 0)
                throw new VfioException("open", Name, Errno.OperationNotPermitted, NotViable);
            space = _options.Space as TypeOneSpace ?? new TypeOneSpace();
            space.Take(group, isTranslated);
            file = group.GetDevice(Path.GetFileName(_sysfs.FullPath), Name);
            space.Admit(file);
            return make(file, group, space);
        }
        catch
        {
            file?.Dispose();
            group.Dispose();
            if (_options.Space is null)
                space?.Dispose();
            throw;
        }
    }

    private Func<Errno, string?> HintFor(string path) => _function is null ? ErrorHint.Mediated(path) : ErrorHint.Node(Name);

    private string NotAssigned => _sysfs.Driver is { } driver
        ? $"it is bound to the driver {driver}; run 'vfio bind {Name}'"
        : $"it is bound to no driver; run 'vfio bind {Name}'";

    private string NotViable
    {
        get
        {
            IEnumerable<string> others = _function is null
                ? []
                : AssignabilityCheck.HeldByOtherDrivers(_function).Select(member => $"{member.Address} ({member.Driver})");
            return $"its group is not viable: other drivers have {string.Join(", ", others)}; bind or unbind them too";
        }
    }

    private static string PathOf(string node) => $"/dev/vfio/{node}";
}
