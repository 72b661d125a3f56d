using System.Globalization;
using Vfio.Kernel.Topology;
using Vfio.Native;

namespace Vfio.Kernel.Binding;

/// <summary>What network interfaces of a function are used for.</summary>
internal sealed class InterfaceUse(KernelPaths paths, IBindingSystem system)
{
    private const uint InterfaceUp = 1;

    /// <summary>Classes whose members are shown in one network namespace only.</summary>
    private static readonly string[] ClassesByNamespace = ["net", "ieee80211", "infiniband"];

    /// <summary>The uses; one clause each.</summary>
    internal IEnumerable<string> Of(DeviceTree tree) => tree.ClassMembers("net").SelectMany(Visible).Concat(Hidden(tree));

    private IEnumerable<string> Visible(string folder)
    {
        string name = Path.GetFileName(folder);
        if ((Flags(folder) & InterfaceUp) != 0)
            yield return $"the interface {name} is up";
        string[] above = [.. Above(folder)];
        if (above.Length > 0)
            yield return $"the interface {name} is part of {string.Join(", ", above)}";
        string routes = Path.Combine(paths.Proc, "net/route");
        if (File.Exists(routes) && File.ReadLines(routes).Any(line => line.StartsWith(name + '\t', StringComparison.Ordinal)))
            yield return $"a route goes through {name}";
    }

    /// <summary>The bond, bridge, switch, VLAN and the like that have the interface: links <c>master</c> and <c>upper_NAME</c>.</summary>
    private static IEnumerable<string> Above(string folder)
    {
        const string Upper = "upper_";
        IEnumerable<string> above = Directory.EnumerateFileSystemEntries(folder, Upper + "*").Select(link => Path.GetFileName(link)[Upper.Length..]);
        string master = Path.Combine(folder, "master");
        if (Path.Exists(master) && Directory.ResolveLinkTarget(master, returnFinalTarget: false) is { } target)
            above = above.Append(target.Name);
        return above.Distinct().Order(StringComparer.Ordinal);
    }

    /// <summary>Interfaces that were moved to another network namespace, and are visible there only. Their folder in sysfs stays, and its link
    /// count includes all interfaces in it, of every namespace.</summary>
    private IEnumerable<string> Hidden(DeviceTree tree)
    {
        foreach (string folder in tree.Folders.Where(folder => ClassesByNamespace.Contains(Path.GetFileName(folder))))
        {
            int visible = Directory.Exists(folder) ? Directory.EnumerateDirectories(folder).Count() : 0;
            long all = system.StatusOf(folder, follow: false) is { } status ? (long)status.Links - 2 : 0;
            if (visible == 0 || all > visible)
                yield return $"it has {(visible == 0 ? "an interface" : "another interface")} in another network namespace";
        }
    }

    private static uint Flags(string folder) =>
        DeviceTree.ReadLine(Path.Combine(folder, "flags")) is ['0', 'x', .. string digits]
        && uint.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint flags)
            ? flags
            : 0;
}
