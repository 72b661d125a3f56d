using System.Text.RegularExpressions;
using Vfio.Native;
using Vfio.Native.Files;

namespace Vfio.Kernel.Binding;

/// <summary>A device below a function in sysfs, at any depth: a disk, a partition, an interface, a sound card.</summary>
/// <param name="Folder">Its folder.</param>
/// <param name="Number">The device number of its file in <c>/dev</c>; null when it has none.</param>
/// <param name="NodeName">The name of its file below <c>/dev</c>, as the kernel makes it.</param>
/// <param name="IsBlock">Whether it is a block device.</param>
internal sealed record TreeDevice(string Folder, DeviceNumber? Number, string NodeName, bool IsBlock)
{
    internal string Name => Path.GetFileName(Folder);
}

/// <summary>All devices of a function: those below its folder in sysfs, and the multipath disks of which it is a path.</summary>
internal sealed partial class DeviceTree
{
    private static readonly EnumerationOptions AllBelow = new()
    {
        RecurseSubdirectories = true,
        IgnoreInaccessible = true,
        AttributesToSkip = FileAttributes.ReparsePoint,
    };

    private readonly string _sysfs;

    internal DeviceTree(string sysfs, string folder)
    {
        _sysfs = sysfs;
        Root = Directory.ResolveLinkTarget(folder, returnFinalTarget: true)?.FullName ?? folder;
        Folders = [.. FoldersBelow(Root)];
        string[] heads = [.. Folders.Select(HeadOf).OfType<string>().Distinct().SelectMany(head => FoldersBelow(head).Prepend(head))];
        Devices = [.. Folders.Concat(heads).Select(TryRead).OfType<TreeDevice>().OrderBy(device => device.Name, StringComparer.Ordinal)];
    }

    /// <summary>The function's folder, with all links resolved.</summary>
    internal string Root { get; }

    /// <summary>All folders below it.</summary>
    internal IReadOnlyList<string> Folders { get; }

    /// <summary>All devices with a file in <c>/dev</c>, by name.</summary>
    internal IReadOnlyList<TreeDevice> Devices { get; }

    /// <summary>The members of a class below the function: links in <c>/sys/class</c> that lead below its folder.</summary>
    internal IEnumerable<string> ClassMembers(string name)
    {
        string folder = Path.Combine(_sysfs, "class", name);
        return Directory.Exists(folder)
            ? Directory.EnumerateFileSystemEntries(folder).Order(StringComparer.Ordinal)
                .Select(entry => Directory.ResolveLinkTarget(entry, returnFinalTarget: true)?.FullName)
                .OfType<string>()
                .Where(Holds)
            : [];
    }

    /// <summary>Whether a folder is below the function's.</summary>
    internal bool Holds(string folder) => folder.StartsWith(Root + "/", StringComparison.Ordinal);

    /// <summary>Text of a file; empty where there is none, or it is gone.</summary>
    internal static string ReadLine(string path)
    {
        try
        {
            return File.Exists(path) ? File.ReadAllText(path).Trim() : "";
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    private static IEnumerable<string> FoldersBelow(string folder) =>
        Directory.Exists(folder) ? Directory.EnumerateDirectories(folder, "*", AllBelow) : [];

    /// <summary>The disk of which a hidden disk is a path. With multipath, a controller has <c>nvme0c1n2</c>, without a file; the disk that can
    /// be mounted is <c>nvme0n2</c> of the subsystem, which is below no function.</summary>
    private string? HeadOf(string folder)
    {
        Match path = NvmePath().Match(Path.GetFileName(folder));
        string head = Path.Combine(_sysfs, "class/block", $"{path.Groups[1]}{path.Groups[2]}");
        return path.Success && Path.Exists(head) ? Directory.ResolveLinkTarget(head, returnFinalTarget: true)?.FullName ?? head : null;
    }

    private TreeDevice? TryRead(string folder)
    {
        if (!DeviceNumber.TryParse(ReadLine(Path.Combine(folder, "dev")), out DeviceNumber number))
            return null;
        string name = Path.GetFileName(folder);
        string link = Path.Combine(_sysfs, "class/block", name);
        bool isBlock = Path.Exists(link) && (Directory.ResolveLinkTarget(link, returnFinalTarget: true)?.FullName ?? link) == folder;

        // Names in sysfs have an exclamation mark for a slash.
        string node = ReadLine(Path.Combine(folder, "uevent")).Split('\n')
            .FirstOrDefault(line => line.StartsWith("DEVNAME=", StringComparison.Ordinal))?["DEVNAME=".Length..] ?? name.Replace('!', '/');
        return new TreeDevice(folder, number, node, isBlock);
    }

    [GeneratedRegex(@"^(nvme\d+)c\d+(n\d+)$")]
    private static partial Regex NvmePath();
}
