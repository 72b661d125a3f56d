using Vfio.Kernel.Topology;
using Vfio.Native;
using Vfio.Native.Errors;
using Vfio.Native.Files;

namespace Vfio.Kernel.Binding;

/// <summary>The device nodes by which an assigned function is opened: its cdev, and its group.</summary>
internal static class FunctionNodes
{
    /// <summary>Permission bits for reading or writing: of the file's group, and of all others.</summary>
    private const uint OpenToGroup = 0x30, OpenToAll = 0x06;

    /// <summary>Those that exist, each with its device number in sysfs; null if unknown.</summary>
    internal static IReadOnlyList<(string Path, DeviceNumber? Number)> Of(KernelPaths paths, KernelFunction function)
    {
        List<(string, DeviceNumber?)> nodes = [];
        if (function.VfioDevice is { } own)
            Add(own, Path.Combine(function.Sysfs.FullPath, "vfio-dev", Path.GetFileName(own), "dev"));
        if (function.IommuGroup is { } group)
        {
            string name = function.IsUntranslated ? $"noiommu-{group}" : group;
            Add(name, Path.Combine(paths.Sysfs, "class/vfio", name, "dev"));
        }

        return nodes;

        void Add(string name, string attribute)
        {
            string path = Path.Combine(paths.Dev, "vfio", name);
            if (File.Exists(path))
                nodes.Add((path, DeviceNumber.TryParse(DeviceTree.ReadLine(attribute), out DeviceNumber number) ? number : null));
        }
    }

    /// <summary>The user to whom a function is assigned; null when no VFIO driver is bound to it.</summary>
    internal static FunctionAssignment? AssignmentOf(KernelPaths paths, IBindingSystem system, KernelFunction function, OpenFiles openFiles)
    {
        if (function.VfioDriver is null)
            return null;
        IReadOnlyList<(string Path, DeviceNumber? Number)> nodes = Of(paths, function);
        string[] owners = [.. nodes.Select(node => system.StatusOf(node.Path, follow: false)).OfType<FileStatus>().Select(OwnerOf).Distinct()];
        return new FunctionAssignment(
            owners.Length > 0 ? string.Join(", ", owners) : "root",
            [.. openFiles.Of([.. nodes.Select(node => OpenFiles.KeyOf(system, node.Path))]).Select(open => open.User)]);
    }

    private static string OwnerOf(FileStatus node) => node switch
    {
        _ when (node.Mode & OpenToAll) != 0 => "everyone",
        { UserId: not 0 } => PrintableText.Of(UserAccount.NameOf(node.UserId)),
        { GroupId: not 0 } when (node.Mode & OpenToGroup) != 0 => $"group {PrintableText.Of(UserAccount.NameOfGroup(node.GroupId))}",
        _ => "root",
    };
}
