using Vfio.Kernel.Topology;
using Vfio.Native;

namespace Vfio.Kernel.Binding;

/// <summary>What this machine uses functions for, so that taking one away would hurt.</summary>
/// <remarks>The kernel is asked where it can be: it knows the exclusive users of a disk, which no list has all of. The lists tell who.</remarks>
internal sealed class FunctionUse(KernelPaths paths, IBindingSystem system)
{
    /// <summary>Who has which device files open.</summary>
    internal OpenFiles OpenFiles { get; } = new(paths, system);

    /// <summary>Each use in words; empty when there is none.</summary>
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
