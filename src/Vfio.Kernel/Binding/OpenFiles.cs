using System.Globalization;
using Vfio.Kernel.Topology;
using Vfio.Native;
using Vfio.Native.Errors;
using Vfio.Native.Files;

namespace Vfio.Kernel.Binding;

/// <summary>A process that has a device's file open.</summary>
/// <param name="ProcessId">Process id.</param>
/// <param name="Name">Its command name (<c>comm</c>), made printable; any process can set its own.</param>
/// <param name="User">Its user: the name, or the number of a user without one; null if unknown.</param>
internal sealed record OpenFileUser(int ProcessId, string Name, string? User)
{
    /// <summary><c>name (4711) of alice</c>.</summary>
    public override string ToString() => $"{Name} ({ProcessId}){(User is null ? "" : " of " + User)}";
}

/// <summary>The processes that have device files open, at the time of the first call.</summary>
/// <remarks>An ordinary user sees their own processes only. Nothing here waits for another process: command lines, which are in a process's
/// memory, are not read, and no file server is accessed.</remarks>
internal sealed class OpenFiles(KernelPaths paths, IBindingSystem system)
{
    private readonly Lazy<IReadOnlyList<(OpenFileUser User, HashSet<NodeKey> Nodes)>> _processes = new(() => Look(paths, system));

    /// <summary>The processes that have one of these files open, and which of them.</summary>
    internal IEnumerable<(OpenFileUser User, IReadOnlyList<NodeKey> Nodes)> Of(IReadOnlyCollection<NodeKey> nodes) => nodes.Count == 0
        ? []
        : _processes.Value
            .Select(process => (process.User, (IReadOnlyList<NodeKey>)[.. nodes.Where(process.Nodes.Contains)]))
            .Where(found => found.Item2.Count > 0);

    /// <summary>The identity of a file.</summary>
    internal static NodeKey KeyOf(IBindingSystem system, string path) => system.StatusOf(path, follow: true) switch
    {
        { Kind: FileKind.BlockDevice or FileKind.CharacterDevice } node => new NodeKey(node.Kind == FileKind.BlockDevice, node.Number, null),
        _ => new NodeKey(false, default, path),
    };

    private static List<(OpenFileUser User, HashSet<NodeKey> Nodes)> Look(KernelPaths paths, IBindingSystem system)
    {
        List<(OpenFileUser, HashSet<NodeKey>)> processes = [];
        foreach (string folder in Directory.EnumerateDirectories(paths.Proc))
        {
            if (!int.TryParse(Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out int process)
                || process == Environment.ProcessId)
            {
                continue;
            }

            HashSet<NodeKey> nodes = OpenNodes(folder, paths.Dev + "/", system);
            if (nodes.Count == 0)
                continue;
            uint? user = UserOf(folder);
            string name = NameOf(folder);

            // udev opens each new disk for a moment.
            if (user != 0 || !name.Contains("udev", StringComparison.Ordinal))
                processes.Add((new OpenFileUser(process, name, user is { } id ? PrintableText.Of(UserAccount.NameOf(id)) : null), nodes));
        }

        return processes;
    }

    private static HashSet<NodeKey> OpenNodes(string folder, string dev, IBindingSystem system)
    {
        HashSet<NodeKey> nodes = [];
        try
        {
            foreach (string link in Directory.EnumerateFileSystemEntries(Path.Combine(folder, "fd")))
            {
                if (LinkOf(link) is { } target && target.StartsWith(dev, StringComparison.Ordinal))
                    nodes.Add(KeyOf(system, link) is { Path: null } key ? key : new NodeKey(false, default, target));
            }
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            // It ended, or belongs to another user.
        }

        return nodes;
    }

    private static string? LinkOf(string path)
    {
        try
        {
            return new FileInfo(path).LinkTarget;
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static string NameOf(string folder) => ReadOrNull(Path.Combine(folder, "comm")) is { } name ? PrintableText.Of(name.TrimEnd('\n')) : "a process";

    /// <summary>The real user, of the line <c>Uid:</c> (proc(5)).</summary>
    private static uint? UserOf(string folder)
    {
        string? line = ReadOrNull(Path.Combine(folder, "status"))?.Split('\n').FirstOrDefault(line => line.StartsWith("Uid:", StringComparison.Ordinal));
        return line?.Split('\t', StringSplitOptions.RemoveEmptyEntries) is [_, string number, ..]
            && uint.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out uint user)
                ? user
                : null;
    }

    private static string? ReadOrNull(string path)
    {
        try
        {
            return File.Exists(path) ? File.ReadAllText(path) : null;
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}

/// <summary>The identity of an open file: the number of a device, or the path of any other file.</summary>
/// <param name="IsBlock">Whether it is a block device.</param>
/// <param name="Number">Its number.</param>
/// <param name="Path">Its path; null for a device, which can have many.</param>
internal readonly record struct NodeKey(bool IsBlock, DeviceNumber Number, string? Path);
