using System.Globalization;
using Vfio.Pci;

namespace Vfio.Run.Tree;

/// <summary>The machine's own functions, drivers and groups in sysfs, where a program sees them beside its run's.</summary>
/// <remarks>The folders that list them are the run's, and have their names. What is below these names is the machine's own.</remarks>
internal sealed class OrdinaryFunctions
{
    /// <summary>None of them.</summary>
    internal static readonly OrdinaryFunctions None = new([], [], []);

    private const string Devices = SysfsFiles.Bus + "/devices", Drivers = SysfsFiles.Bus + "/drivers";
    private readonly Dictionary<string, string[]> _names;

    private OrdinaryFunctions(string[] devices, string[] drivers, string[] groups) =>
        _names = new(StringComparer.Ordinal) { [Devices] = devices, [Drivers] = drivers, [SysfsFiles.Groups] = groups };

    /// <summary>Their addresses.</summary>
    internal IEnumerable<PciAddress> Addresses =>
        _names[Devices].Select(name => PciAddress.TryParse(name, out PciAddress address) ? address : (PciAddress?)null).OfType<PciAddress>();

    /// <summary>The numbers of their groups.</summary>
    internal IEnumerable<int> Groups =>
        _names[SysfsFiles.Groups].Select(name => int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : -1);

    /// <summary>Looks at this machine.</summary>
    internal static OrdinaryFunctions Find() =>
        new(NamesIn(Devices), [.. NamesIn(Drivers).Where(name => name != SysfsFiles.DriverName)], NamesIn(SysfsFiles.Groups));

    /// <summary>Makes their names.</summary>
    internal void Write(TreeWriter writer)
    {
        foreach ((string folder, string[] names) in _names)
        {
            foreach (string path in names.Select(name => $"{folder}/{name}"))
            {
                if (new FileInfo(path).LinkTarget is { } target)
                    writer.Link(path, Path.GetFullPath(target, folder));
                else
                    writer.Folder(path);
            }
        }
    }

    /// <summary>Whether a path is the machine's own, though the folder that lists it is the run's.</summary>
    /// <param name="path">A full path: without "..", as only its first name below that folder is looked at.</param>
    internal bool Has(string path)
    {
        foreach ((string folder, string[] names) in _names)
        {
            if (names.Length == 0 || path.Length <= folder.Length + 1 || !path.StartsWith(folder, StringComparison.Ordinal) || path[folder.Length] != '/')
                continue;
            string name = path[(folder.Length + 1)..].Split('/', 2)[0];
            return Array.IndexOf(names, name) >= 0;
        }

        return false;
    }

    private static string[] NamesIn(string folder) =>
        Directory.Exists(folder) ? [.. Directory.EnumerateFileSystemEntries(folder).Select(path => Path.GetFileName(path))] : [];
}
