using Vfio.Native.Files;
using Vfio.Run.Interface;

namespace Vfio.Run.Tree;

/// <summary>The device files of a run. They are empty files in the tree, so that folders list them; who opens one is served.</summary>
/// <param name="Numbers">Each path, and the number that stat(2) shows of it.</param>
internal sealed record DeviceNodes(Dictionary<string, DeviceNumber> Numbers)
{
    private const string ContainerPath = "/dev/vfio/vfio", IommuPath = "/dev/iommu";
    private const uint MiscMajor = 10, ContainerMinor = 196, IommuMinor = 124, GroupMajor = 240, CdevMajor = 511;

    /// <summary>Paths that are ours with all that is below them.</summary>
    internal static readonly string[] Roots = ["/dev/vfio", IommuPath];

    /// <summary>Makes the files.</summary>
    internal static DeviceNodes Write(TreeWriter writer, IReadOnlyList<FunctionFacts> functions)
    {
        Dictionary<string, DeviceNumber> numbers = new(StringComparer.Ordinal)
        {
            [ContainerPath] = new DeviceNumber(MiscMajor, ContainerMinor),
            [IommuPath] = new DeviceNumber(MiscMajor, IommuMinor),
        };
        foreach (ServedDevice function in functions.Select(facts => facts.Function))
        {
            numbers[$"/dev/vfio/{function.Group}"] = GroupNumber(function);
            numbers[$"/dev/vfio/devices/vfio{function.Number}"] = CdevNumber(function);
        }

        foreach (string path in numbers.Keys)
            writer.Bytes(path, [], isSettable: true);
        return new DeviceNodes(numbers);
    }

    /// <summary>The number of a group's file.</summary>
    internal static DeviceNumber GroupNumber(ServedDevice function) => new(GroupMajor, (uint)function.Group);

    /// <summary>The number of a function's own file.</summary>
    internal static DeviceNumber CdevNumber(ServedDevice function) => new(CdevMajor, (uint)function.Number);
}
