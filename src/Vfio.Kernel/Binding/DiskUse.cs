using Vfio.Kernel.Topology;
using Vfio.Native;
using Vfio.Native.Errors;

namespace Vfio.Kernel.Binding;

/// <summary>What disks below a function are used for.</summary>
internal sealed class DiskUse(KernelPaths paths, IBindingSystem system)
{
    private readonly string[] _mounts = LinesOf(Path.Combine(paths.Proc, "self/mountinfo"));
    private readonly string[] _swaps = LinesOf(Path.Combine(paths.Proc, "swaps"));

    /// <summary>The uses; one clause each.</summary>
    internal IReadOnlyList<string> Of(DeviceTree tree)
    {
        List<(string Folder, string Use)> uses = [];

        // A disk comes after its partitions: for the kernel a partition in use is a use of the disk, which is reported once.
        foreach (TreeDevice disk in tree.Devices.Where(device => device.IsBlock).Reverse())
        {
            string[] listed = [.. Listed(disk)];
            bool isPartUsed = uses.Any(use => use.Folder.StartsWith(disk.Folder + "/", StringComparison.Ordinal));
            uses.InsertRange(0, (listed.Length > 0 || isPartUsed ? listed : Asked(disk)).Select(use => (disk.Folder, use)));
        }

        return [.. uses.Select(use => use.Use), .. FileSystemsWithoutDisk(tree)];
    }

    private static string[] LinesOf(string path) => File.Exists(path) ? File.ReadAllLines(path) : [];

    /// <summary>Uses from lists: mounts, swap, and devices on top of it.</summary>
    private IEnumerable<string> Listed(TreeDevice disk)
    {
        string node = $"/dev/{disk.NodeName}";
        foreach (Mount mount in Mounts().Where(mount => mount.Number == $"{disk.Number}" || (mount.Source == node && !mount.IsByUser)))
            yield return $"{disk.Name} is mounted at {mount.Place}";
        if (_swaps.Any(line => line.StartsWith(node + " ", StringComparison.Ordinal) || line.StartsWith(node + "\t", StringComparison.Ordinal)))
            yield return $"{disk.Name} is swap";
        string holders = Path.Combine(disk.Folder, "holders");
        string[] above = Directory.Exists(holders) ? Directory.GetFileSystemEntries(holders) : [];
        foreach (string holder in above.Order(StringComparer.Ordinal))
            yield return $"{disk.Name} is part of {Path.GetFileName(holder)}";
    }

    private IEnumerable<string> Asked(TreeDevice disk)
    {
        switch (system.AskExclusive(Path.Combine(paths.Dev, disk.NodeName), disk.Number!.Value))
        {
            case Errno.Busy:
                yield return $"{disk.Name} is in use: a file system, RAID, swap, a volume or a program has it exclusively";
                break;
            case Errno.NoEntry when system.IsPrivileged:
                yield return $"{disk.Name} may be in use: {Path.Combine(paths.Dev, disk.NodeName)} is not its node, so the kernel cannot be asked";
                break;
            case Errno.AccessDenied or Errno.OperationNotPermitted when system.IsPrivileged:
                yield return $"{disk.Name} may be in use: this process may not open it";
                break;
        }
    }

    /// <summary>File systems that a function shares by a tag instead of a disk: 9p and virtiofs.</summary>
    private IEnumerable<string> FileSystemsWithoutDisk(DeviceTree tree)
    {
        IEnumerable<string> tags = tree.Folders.Select(folder => DeviceTree.ReadLine(Path.Combine(folder, "mount_tag")));
        string shares = Path.Combine(paths.Sysfs, "fs/virtiofs");
        IEnumerable<string> others = Directory.Exists(shares)
            ? Directory.EnumerateDirectories(shares).Where(share => IsBelow(share, tree)).Select(share => DeviceTree.ReadLine(Path.Combine(share, "tag")))
            : [];
        HashSet<string> all = [.. tags.Concat(others).Select(tag => tag.TrimEnd('\0')).Where(tag => tag.Length > 0)];
        return Mounts().Where(mount => mount.Type is "9p" or "virtiofs" && all.Contains(mount.Source))
            .Select(mount => $"{PrintableText.Of(mount.Source)} is mounted at {mount.Place}");
    }

    private static bool IsBelow(string share, DeviceTree tree)
    {
        string link = Path.Combine(share, "device");
        return Path.Exists(link) && Directory.ResolveLinkTarget(link, returnFinalTarget: true)?.FullName is { } device && tree.Holds(device);
    }

    /// <summary>The mounts that this process sees, in the form of proc(5): id, parent, major:minor, root, mount point, options, tags, a
    /// hyphen, type, source.</summary>
    private IEnumerable<Mount> Mounts()
    {
        foreach (string line in _mounts)
        {
            string[] words = line.Split(' ');
            int hyphen = Array.IndexOf(words, "-", Math.Min(6, words.Length));
            if (words.Length > 4)
            {
                yield return new Mount(
                    words[2],
                    PrintableText.Of(words[4]),
                    hyphen > 0 && hyphen + 1 < words.Length ? words[hyphen + 1] : "",
                    hyphen > 0 && hyphen + 2 < words.Length ? words[hyphen + 2] : "");
            }
        }
    }

    private readonly record struct Mount(string Number, string Place, string Type, string Source)
    {
        /// <summary>Whether the user who mounted it could choose the text of its source.</summary>
        internal bool IsByUser => Type.StartsWith("fuse", StringComparison.Ordinal) && Type != "fuseblk";
    }
}
