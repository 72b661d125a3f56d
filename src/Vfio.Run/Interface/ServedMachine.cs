namespace Vfio.Run.Interface;

/// <summary>The devices of one run, and the files by which a program reaches them.</summary>
/// <param name="devices">The devices.</param>
internal sealed class ServedMachine(IReadOnlyList<ServedDevice> devices)
{
    /// <summary>The devices.</summary>
    public IReadOnlyList<ServedDevice> Devices => devices;

    /// <summary>Opens one of its files.</summary>
    /// <param name="path">The absolute path, without links: <c>/dev/vfio/vfio</c>, <c>/dev/vfio/7</c>, <c>/dev/vfio/devices/vfio0</c>,
    /// <c>/dev/iommu</c>.</param>
    /// <param name="file">The file; to be disposed once no process has it any more. Null when the open is refused.</param>
    /// <returns>The error: ENOENT where it has no such file, EBUSY where it is open already and only one may have it.</returns>
    public Errno Open(string path, out ServedFile? file)
    {
        file = null;
        return path.Length > 0 ? Errno.NoEntry : Errno.InvalidArgument;
    }
}
