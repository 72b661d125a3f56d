using Vfio.Kernel.Topology;
using Vfio.Native;

namespace Vfio.Kernel.Binding;

/// <summary>What this machine uses functions for; a function in use is not assigned.</summary>
/// <remarks>For disks the kernel is asked by an exclusive open, because no list has all exclusive users. Lists give the names.</remarks>
internal sealed class FunctionUse(KernelPaths paths, IBindingSystem system)
{
    /// <summary>The processes that have device files open.</summary>
    internal OpenFiles OpenFiles { get; } = new(paths, system);

    /// <summary>The uses, one clause each; empty when there is none.</summary>
    internal IReadOnlyList<string> Of(KernelFunction function)
    {
        DeviceTree tree = new(paths.Sysfs, function.Sysfs.FullPath);
        return
        [
            .. new DiskUse(paths, system).Of(tree),
            .. new InterfaceUse(paths, system).Of(tree),
            .. new ConsoleUse(paths).Of(function, tree),
            .. MediatedDevices(tree),
            .. OpenNodes(tree),
        ];
    }

    private static IEnumerable<string> MediatedDevices(DeviceTree tree) => tree.Folders
        .Where(folder => Path.GetDirectoryName(folder) == tree.Root && Guid.TryParse(Path.GetFileName(folder), out _))
        .Select(folder => $"it has the mediated device {Path.GetFileName(folder)}");

    private IEnumerable<string> OpenNodes(DeviceTree tree)
    {
        Dictionary<NodeKey, TreeDevice> nodes = [];
        foreach (TreeDevice device in tree.Devices)
            nodes.TryAdd(new NodeKey(device.IsBlock, device.Number!.Value, null), device);
        return OpenFiles.Of(nodes.Keys)
            .Select(open => $"{string.Join(", ", open.Nodes.Select(node => nodes[node].Name))} is open in {open.User}");
    }
}
