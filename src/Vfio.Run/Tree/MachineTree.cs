using Vfio.Native;
using Vfio.Native.Files;
using Vfio.Native.Interop;
using Vfio.Native.Tracing;

namespace Vfio.Run.Tree;

/// <summary>What a program finds below <c>/dev</c> and <c>/sys</c> of the functions of its run: real files in a private folder.</summary>
/// <remarks>A path of ours leads there, every other to the machine's own files. Any thread may use it.</remarks>
internal sealed class MachineTree : IDisposable
{
    private const string Sysfs = "/sys";
    private readonly PrivateFolder _folder;
    private readonly string[] _ours;
    private readonly OrdinaryFunctions _ordinary;

    // A path of the program's is resolved with this process's rights: it stays in sysfs.
    private readonly RootedFolder? _machine = Directory.Exists(Sysfs) ? new RootedFolder(Sysfs, hasOneMount: true) : null;

    private MachineTree(
        PrivateFolder folder, string[] ours, OrdinaryFunctions ordinary, TreeWriter writer, DeviceNodes nodes, IReadOnlyList<FunctionFacts> functions)
    {
        _folder = folder;
        _ours = ours;
        _ordinary = ordinary;
        (Writer, Nodes, Functions) = (writer, nodes, functions);
        Files = new RootedFolder(folder.FullPath);
    }

    /// <summary>Its files; the root of their paths is the machine's.</summary>
    internal RootedFolder Files { get; }

    /// <summary>What answers for a path below a folder of these: the machine's sysfs, where the path is one of its own functions.</summary>
    /// <param name="path">The path.</param>
    /// <param name="there">The path there.</param>
    internal RootedFolder FilesFor(string path, out string there)
    {
        there = path;
        if (_machine is null || !IsOrdinary(path))
            return Files;
        there = Path.GetFullPath(path)[Sysfs.Length..];
        return _machine;
    }

    /// <summary>Whether a path below a folder of these is the machine's own; as far as words tell, which ".." may lead out of it again.</summary>
    internal bool IsOrdinary(string path) => _ordinary.Has(Path.GetFullPath(path));

    /// <summary>Changes them.</summary>
    internal TreeWriter Writer { get; }

    /// <summary>The device nodes among them.</summary>
    internal DeviceNodes Nodes { get; }

    /// <summary>The functions.</summary>
    internal IReadOnlyList<FunctionFacts> Functions { get; }

    /// <summary>Where it is.</summary>
    internal string FullPath => _folder.FullPath;

    /// <summary>Makes the files.</summary>
    /// <param name="functions">The functions.</param>
    /// <param name="ordinary">The machine's own that are shown beside them.</param>
    /// <exception cref="VfioException">A function cannot be opened, or there is no place for the files.</exception>
    internal static MachineTree Create(IReadOnlyList<FunctionFacts> functions, OrdinaryFunctions ordinary)
    {
        PrivateFolder folder = PrivateFolder.Create("vfio-run");
        try
        {
            TreeWriter writer = new(folder.FullPath);
            ordinary.Write(writer);
            SysfsFiles.Write(writer, functions);
            DeviceNodes nodes = new(writer, functions);
            return new MachineTree(folder, [.. SysfsFiles.Roots(functions), .. DeviceNodes.Roots], ordinary, writer, nodes, functions);
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

    /// <summary>The path of a file without links on the way; null when it is not there.</summary>
    internal string? Resolve(string path)
    {
        if (Files.Open(path, LibC.O_PATH, out FileDescriptor? file) != Errno.None)
            return null;
        using (file)
            return new FileInfo($"/proc/self/fd/{file!.Number}").LinkTarget is { } real ? NameOf(real) : null;
    }

    /// <summary>What a file is; null when it is not there.</summary>
    internal FileStatus? StatusOf(string path)
    {
        if (Files.Open(path, LibC.O_PATH, out FileDescriptor? file) != Errno.None)
            return null;
        using (file)
            return FileStatus.TryOf(file!.Number);
    }

    /// <summary>Whether a path is a device node, which is not opened but served.</summary>
    internal bool IsNode(string path, out DeviceNumber number) => Nodes.TryGet(path, out number);

    /// <inheritdoc/>
    public void Dispose()
    {
        Files.Dispose();
        _machine?.Dispose();
        _folder.Dispose();
    }

    private bool IsBelowRoots(string path)
    {
        // The folder alone: who lists modules finds these among the machine's, whose own folders stay the machine's.
        if (path.TrimEnd('/') == SysfsFiles.Modules)
            return true;
        foreach (string root in _ours)
        {
            if (path.StartsWith(root, StringComparison.Ordinal) && (path.Length == root.Length || path[root.Length] == '/'))
                return !IsOrdinary(path);
        }

        return false;
    }
}
