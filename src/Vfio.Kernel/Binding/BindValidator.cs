using Vfio.Kernel.Topology;
using Vfio.Native;
using Vfio.Pci;

namespace Vfio.Kernel.Binding;

/// <summary>Decides whether a function can be assigned, before any change: it checks everything that makes the kernel refuse, or that would
/// leave a group half bound.</summary>
internal sealed class BindValidator(KernelPaths paths, IBindingSystem system)
{
    private const string Remedy = "turn the IOMMU on (intel_iommu=on or amd_iommu=on, and in the firmware)";

    /// <summary>The obstacle for any user; null when there is none.</summary>
    /// <param name="function">The function that was asked for.</param>
    /// <param name="members">All of its group.</param>
    internal BindObstacle? FindObstacle(KernelFunction function, IReadOnlyList<BindStep> members) =>
        CheckFunction(function) ?? CheckIommu(function) ?? members.Select(CheckMember).FirstOrDefault(refusal => refusal is not null);

    /// <summary>The obstacle in this machine's or this process' state; null when there is none.</summary>
    internal BindObstacle? FindRefusal(KernelFunction function, IReadOnlyList<BindStep> members, bool persist)
    {
        if (!Directory.Exists(Path.Combine(paths.Sysfs, "bus/pci/drivers", DeviceBinder.VfioDriver)))
            return Refuse(function, Errno.NoEntry, "the driver vfio-pci is not loaded; run 'modprobe vfio-pci'");
        IEnumerable<string> written = members.Where(member => member.Action == BindAction.Bind)
            .Select(member => Path.Combine(member.Function.Sysfs.FullPath, "driver_override"))
            .Append(Path.Combine(paths.Sysfs, "bus/pci/drivers_probe"))
            .Append(ExistingPart(paths.Records));
        if (persist)
            written = written.Append(ExistingPart(paths.Overrides));
        foreach (string path in written)
        {
            switch (system.MayWrite(path))
            {
                case Errno.None:
                    break;
                case Errno.AccessDenied or Errno.OperationNotPermitted:
                    return Refuse(function, Errno.OperationNotPermitted, "only root may; run it with sudo");
                case var errno:
                    return Refuse(function, errno, $"{path} cannot be written");
            }
        }

        return null;
    }

    private static BindObstacle? CheckFunction(KernelFunction function)
    {
        if (function.IsBridge)
            return Refuse(function, Errno.InvalidArgument, "it is a bridge, which VFIO does not take; bind a function behind it");
        if (function.IsMachineBridge)
            return Refuse(function, Errno.InvalidArgument, "it is a bridge of the machine itself, which stays with it");
        return function.IsSilent
            ? Refuse(function, Errno.NoDevice, "its config space reads as all ones: nothing answers there")
            : null;
    }

    private BindObstacle? CheckIommu(KernelFunction function)
    {
        if (function.VfioDriver is not null || function.IommuGroup is not null)
            return null;
        string mode = Path.Combine(paths.Sysfs, "module/vfio/parameters/enable_unsafe_noiommu_mode");
        return DeviceTree.ReadLine(mode) is "Y" or "1"
            ? null
            : Refuse(function, Errno.NoDevice, $"no IOMMU translates for it; {Remedy}");
    }

    private static BindObstacle? CheckMember(BindStep member)
    {
        KernelFunction function = member.Function;
        if (member.Uses.Count > 0)
            return Refuse(function, Errno.Busy, string.Join(", ", member.Uses));
        if (member.Action == BindAction.Keep)
        {
            // A group is not viable while a function of it has a driver that does its own DMA.
            return function.IsMachineBridge && member.Driver is { } driver && driver != "pci-stub"
                ? Refuse(function, Errno.Busy, $"it is a bridge of the machine itself, has the driver {driver}, and is in the same group")
                : null;
        }

        if (member.Action != BindAction.Bind)
            return null;
        if (function.IsSilent)
            return Refuse(function, Errno.NoDevice, "its config space reads as all ones: nothing answers there");
        if (function.EnabledVirtualFunctions is > 0 and int count)
            return Refuse(function, Errno.Busy, $"it has {count} virtual functions; remove them with 'vfio vfs {function} 0'");
        return function.Sysfs.Exists("driver_override")
            ? null
            : Refuse(function, Errno.NotSupported, "the kernel has no driver_override for it");
    }

    private static string ExistingPart(string path)
    {
        string part = path;
        while (!Path.Exists(part) && Path.GetDirectoryName(part) is { } parent)
            part = parent;
        return part;
    }

    private static BindObstacle Refuse(KernelFunction function, Errno errno, string why) => new(function.Address, errno, why);
}
