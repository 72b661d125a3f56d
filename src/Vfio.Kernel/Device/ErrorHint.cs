namespace Vfio.Kernel.Device;

/// <summary>Error hints: what to do when a file of the kernel's VFIO cannot be opened.</summary>
internal static class ErrorHint
{
    internal static string? Container(Errno errno) => errno switch
    {
        Errno.NoEntry => "the kernel has no VFIO, or not its group interface; load vfio, vfio_iommu_type1 and vfio-pci",
        Errno.AccessDenied => "open it as root, or set its mode to 0666 by a udev rule: it gives access to no device by itself",
        _ => null,
    };

    internal static string? Iommufd(Errno errno) => errno switch
    {
        Errno.NoEntry => "the kernel has no iommufd (6.6 and CONFIG_VFIO_DEVICE_CDEV), or the module is not loaded",
        Errno.AccessDenied => "open it as root, or make this user's group its group",
        _ => null,
    };

    internal static Func<Errno, string?> Mediated(string path) => errno => errno switch
    {
        Errno.AccessDenied or Errno.OperationNotPermitted => $"it belongs to another user; run 'chown NAME {path}' as root",
        Errno.Busy => "another program has it open",
        _ => null,
    };

    internal static string? Pasid(Errno errno) => errno switch
    {
        Errno.InvalidArgument or Errno.NoSuchOperation or Errno.NotSupported =>
            "PASIDs need Linux 6.15, the cdev interface, and a function and an IOMMU that support them",
        _ => null,
    };

    internal static Func<Errno, string?> Node(string function) => errno => errno switch
    {
        Errno.NoEntry => $"{function} is not assigned; run 'vfio bind {function}'",
        Errno.AccessDenied or Errno.OperationNotPermitted => $"it belongs to another user; run 'vfio bind {function} --user NAME' as root",
        Errno.Busy => "another program has it open",
        _ => null,
    };
}
