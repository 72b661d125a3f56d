using Vfio.Pci;
using Vfio.Pci.Names;

namespace Vfio.Cli.Show;

/// <summary>The names of ids that are installed on this machine: those that <c>lspci</c> knows.</summary>
internal static class InstalledNames
{
    private const long LargestDatabase = 256 << 20;
    private static readonly string[] Texts = ["usr/share/misc/pci.ids", "usr/share/hwdata/pci.ids"];

    // In the order of sd-hwdb: only the first that exists is read.
    private static readonly string[] Databases =
    [
        "etc/systemd/hwdb/hwdb.bin", "etc/udev/hwdb.bin", "usr/lib/systemd/hwdb/hwdb.bin", "lib/systemd/hwdb/hwdb.bin",
        "usr/lib/udev/hwdb.bin", "lib/udev/hwdb.bin",
    ];

    /// <summary>Finds the files; they are read when a name is asked for.</summary>
    /// <param name="root">Where the machine's file system starts.</param>
    internal static PciIds Read(string root = "/")
    {
        string? text = Find(root, Texts);
        string? database = Find(root, Databases);
        return PciIds.From(
            () => text is null ? TextReader.Null : File.OpenText(text), () => database is null ? null : ReadDatabase(database));
    }

    private static string? Find(string root, string[] names) => names.Select(name => Path.Combine(root, name)).FirstOrDefault(File.Exists);

    // Names are optional: without them ids are shown as numbers.
    private static HardwareDatabase? ReadDatabase(string path)
    {
        try
        {
            return new FileInfo(path).Length <= LargestDatabase ? HardwareDatabase.Read(File.ReadAllBytes(path)) : null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
