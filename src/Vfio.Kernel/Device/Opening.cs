using Vfio.Native;
using Vfio.Pci;

namespace Vfio.Kernel;

/// <summary>Opens a function by one of the two doors.</summary>
internal sealed class Opening(PciAddress address, KernelDeviceOptions options)
{
    private readonly PciTopology _topology = new(options.Sysfs);

    /// <summary>Opens it, or says why not.</summary>
    internal KernelDevice Open()
    {
        KernelFunction function = _topology.Find(address);
        string? node = function.VfioDevice;
        KernelDoor door = options.Door;
        if (door == KernelDoor.Any)
            door = PreferDevice(node) ? KernelDoor.Device : KernelDoor.Group;
        return door == KernelDoor.Device ? OpenDevice(function, node) : OpenGroup(function);
    }

    private bool PreferDevice(string? node) => options.Space switch
    {
        IommufdSpace => true,
        TypeOneSpace => false,
        _ => node is not null && KernelFile.MayOpen("/dev/iommu") && KernelFile.MayOpen(PathOf(node)),
    };

    private KernelDevice OpenDevice(KernelFunction function, string? node)
    {
        if (node is null)
        {
            string why = function.LentBy is null ? NotLent(function) : "the kernel has no device files (6.6 and CONFIG_VFIO_DEVICE_CDEV); use its group";
            throw new VfioException("open", address.ToString(), Errno.NoDevice, why);
        }

        DeviceFile file = new(KernelFile.Open(PathOf(node), Advice.Node(address.ToString())), address.ToString());
        IommufdSpace? space = null;
        try
        {
            space = options.Space as IommufdSpace ?? new IommufdSpace();
            space.Admit(file);
            return new KernelDevice(file, null, space, ownsSpace: options.Space is null);
        }
        catch (VfioException refusal) when (refusal.Errno == Errno.OperationNotPermitted && function.GroupViability.Answer == Answer.No)
        {
            Close();
            throw new VfioException("open", address.ToString(), Errno.OperationNotPermitted, NotViable(function));
        }
        catch (VfioException refusal) when (refusal.Errno == Errno.InvalidArgument && refusal.Operation == "VFIO_DEVICE_BIND_IOMMUFD")
        {
            Close();
            throw new VfioException("open", address.ToString(), Errno.InvalidArgument, "another program has it open");
        }
        catch
        {
            Close();
            throw;
        }

        void Close()
        {
            file.Dispose();
            if (options.Space is null)
                space?.Dispose();
        }
    }

    private KernelDevice OpenGroup(KernelFunction function)
    {
        if (function.IommuGroup is not { } number)
            throw new VfioException("open", address.ToString(), Errno.NoDevice, "it is in no IOMMU group; turn the IOMMU on (intel_iommu=on or amd_iommu=on)");
        if (function.LentBy is null)
            throw new VfioException("open", address.ToString(), Errno.NoDevice, NotLent(function));
        string path = PathOf(function.IsUntranslated ? $"noiommu-{number}" : number);
        GroupFile group = new(KernelFile.Open(path, Advice.Node(address.ToString())), path);
        TypeOneSpace? space = null;
        DeviceFile? file = null;
        try
        {
            if ((group.GetStatus() & GroupStatus.Viable) == 0)
                throw new VfioException("open", address.ToString(), Errno.OperationNotPermitted, NotViable(function));
            space = options.Space as TypeOneSpace ?? new TypeOneSpace();
            space.Take(group, isTranslated: !function.IsUntranslated);
            file = group.GetDevice(address.ToString());
            space.Admit(file);
            return new KernelDevice(file, group, space, ownsSpace: options.Space is null);
        }
        catch
        {
            file?.Dispose();
            group.Dispose();
            if (options.Space is null)
                space?.Dispose();
            throw;
        }
    }

    private string NotLent(KernelFunction function) => function.Driver is { } driver
        ? $"the driver {driver} has it; run 'vfio bind {address}'"
        : $"no driver has it; run 'vfio bind {address}'";

    private static string NotViable(KernelFunction function)
    {
        IEnumerable<string> others = FunctionJudge.HeldByOthers(function).Select(member => $"{member.Address} ({member.Driver})");
        return $"its group has functions that other drivers have: {string.Join(", ", others)}; bind or unbind them too";
    }

    private static string PathOf(string node) => $"/dev/vfio/{node}";
}
