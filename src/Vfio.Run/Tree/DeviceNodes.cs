using Vfio.Native.Files;
using Vfio.Run.Interface;

namespace Vfio.Run.Tree;

/// <summary>The device files of a run. They are empty files in the tree, so that folders list them; who opens one is served.</summary>
/// <remarks>Used by the thread that answers system calls.</remarks>
internal sealed class DeviceNodes
{
    private const string ContainerPath = "/dev/vfio/vfio", IommuPath = "/dev/iommu";
    private const uint MiscMajor = 10, ContainerMinor = 196, IommuMinor = 124, GroupMajor = 240, CdevMajor = 511;

    /// <summary>Paths that are ours with all that is below them.</summary>
    internal static readonly string[] Roots = ["/dev/vfio", IommuPath];

    private readonly Dictionary<string, DeviceNumber> _numbers = new(StringComparer.Ordinal);
    private readonly TreeWriter _writer;

    /// <summary>Makes the files.</summary>
    internal DeviceNodes(TreeWriter writer, IReadOnlyList<FunctionFacts> functions)
    {
        _writer = writer;
        Add(ContainerPath, new DeviceNumber(MiscMajor, ContainerMinor));
        Add(IommuPath, new DeviceNumber(MiscMajor, IommuMinor));
        foreach (ServedDevice function in functions.Select(facts => facts.Function))
        {
            AddGroup(function);
            AddCdev(function);
        }
    }

    /// <summary>Whether a path is one of them, and the number that stat(2) shows of it.</summary>
    internal bool TryGet(string path, out DeviceNumber number) => _numbers.TryGetValue(path, out number);

    /// <summary>Makes the file of a group.</summary>
    internal void AddGroup(ServedDevice function) => Add(GroupOf(function), GroupNumber(function));

    /// <summary>Removes it.</summary>
    internal void RemoveGroup(ServedDevice function) => Remove(GroupOf(function));

    /// <summary>Makes a function's own file.</summary>
    internal void AddCdev(ServedDevice function) => Add(CdevOf(function), CdevNumber(function));

    /// <summary>Removes it.</summary>
    internal void RemoveCdev(ServedDevice function) => Remove(CdevOf(function));

    /// <summary>The number of a group's file.</summary>
    internal static DeviceNumber GroupNumber(ServedDevice function) => new(GroupMajor, (uint)function.Group);

    /// <summary>The number of a function's own file.</summary>
    internal static DeviceNumber CdevNumber(ServedDevice function) => new(CdevMajor, (uint)function.Number);

    private static string GroupOf(ServedDevice function) => $"/dev/vfio/{function.Group}";

    private static string CdevOf(ServedDevice function) => $"/dev/vfio/devices/vfio{function.Number}";

    private void Add(string path, DeviceNumber number)
    {
        if (_numbers.TryAdd(path, number))
            _writer.Bytes(path, [], isSettable: true);
    }

    private void Remove(string path)
    {
        _numbers.Remove(path);
        _writer.Remove(path);
    }
}
