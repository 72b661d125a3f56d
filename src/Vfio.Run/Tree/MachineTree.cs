using System.Globalization;
using Vfio.Native;
using Vfio.Native.Files;
using Vfio.Native.Tracing;

namespace Vfio.Run.Tree;

/// <summary>What a program finds below <c>/dev</c> and <c>/sys</c> of the functions of its run: real files in a private folder.</summary>
/// <remarks>A path of ours leads there, every other to the machine's own files. Any thread may use it.</remarks>
internal sealed class MachineTree : IDisposable
{
    private readonly PrivateFolder _folder;
    private readonly string[] _ours;
    private readonly Dictionary<string, DeviceNumber> _nodes;

    private MachineTree(PrivateFolder folder, string[] ours, Dictionary<string, DeviceNumber> nodes)
    {
        _folder = folder;
        _ours = ours;
        _nodes = nodes;
        Files = new RootedFolder(folder.FullPath);
    }

    /// <summary>Its files; the root of their paths is the machine's.</summary>
    internal RootedFolder Files { get; }

    /// <summary>Where it is.</summary>
    internal string FullPath => _folder.FullPath;

    /// <summary>Makes the files.</summary>
    /// <param name="functions">The functions.</param>
    /// <exception cref="VfioException">A function cannot be opened, or there is no place for the files.</exception>
    internal static MachineTree Create(IReadOnlyList<FunctionFacts> functions)
    {
        PrivateFolder folder = PrivateFolder.Create("vfio-run");
        try
        {
            TreeWriter writer = new(folder.FullPath);
            SysfsFiles.Write(writer, functions);
            DeviceNodes nodes = DeviceNodes.Write(writer, functions);
            return new MachineTree(folder, [.. SysfsFiles.Roots(functions), .. DeviceNodes.Roots], nodes.Numbers);
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    /// <summary>Whether a path leads here.</summary>
    /// <param name="path">An absolute path.</param>
    /// <param name="inTree">The same, to ask <see cref="Files"/> for.</param>
    internal bool Has(string path, out string inTree)
    {
        inTree = path;
        if (IsBelowRoots(path))
            return true;
        if (!path.Contains("//", StringComparison.Ordinal) && !path.Contains("/.", StringComparison.Ordinal))
            return false;

        // As far as words tell: a link on the way may lead elsewhere.
        inTree = Path.GetFullPath(path);
        return IsBelowRoots(inTree);
    }

    /// <summary>The path by which the program knows a folder of these; null for another folder.</summary>
    /// <param name="folder">The real path, as <c>/proc/PID/fd</c> has it.</param>
    internal string? NameOf(string folder)
    {
        if (!folder.StartsWith(FullPath, StringComparison.Ordinal))
            return null;
        return folder.Length == FullPath.Length ? "/" : folder[FullPath.Length] == '/' ? folder[FullPath.Length..] : null;
    }

    /// <summary>Whether a path is a device node, which is not opened but served.</summary>
    internal bool IsNode(string path, out DeviceNumber number) => _nodes.TryGetValue(path, out number);

    /// <inheritdoc/>
    public void Dispose()
    {
        Files.Dispose();
        _folder.Dispose();
    }

    private bool IsBelowRoots(string path)
    {
        foreach (string root in _ours)
        {
            if (path.StartsWith(root, StringComparison.Ordinal) && (path.Length == root.Length || path[root.Length] == '/'))
                return true;
        }

        return false;
    }
}
