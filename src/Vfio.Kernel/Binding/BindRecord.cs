using System.Text.Json;
using System.Text.Json.Serialization;
using Vfio.Pci;

namespace Vfio.Kernel;

/// <summary>What a function was before it was lent: all that is needed to undo it.</summary>
/// <param name="Driver">The driver that had it; null for none.</param>
/// <param name="Override">Its driver override; null for none.</param>
internal sealed record BindRecord(string? Driver, string? Override)
{
    /// <summary>Reads the record of a function; null when there is none.</summary>
    internal static BindRecord? Load(KernelPaths paths, PciAddress address)
    {
        string path = PathOf(paths, address);
        if (!File.Exists(path))
            return null;
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllText(path), BindRecordJson.Default.BindRecord);
        }
        catch (JsonException)
        {
            throw new VfioException("reading the undo record", path, Errno.InvalidArgument, "remove it, and unbind again: the function then gets the driver that fits");
        }
    }

    /// <summary>Writes it, whole or not at all.</summary>
    internal void Save(KernelPaths paths, PciAddress address)
    {
        Directory.CreateDirectory(paths.Records);
        string path = PathOf(paths, address);
        File.WriteAllText(path + "~", JsonSerializer.Serialize(this, BindRecordJson.Default.BindRecord));
        File.Move(path + "~", path, overwrite: true);
    }

    /// <summary>Removes it.</summary>
    internal static void Delete(KernelPaths paths, PciAddress address)
    {
        if (Directory.Exists(paths.Records))
            File.Delete(PathOf(paths, address));
    }

    private static string PathOf(KernelPaths paths, PciAddress address) => Path.Combine(paths.Records, $"{address}.json");
}

/// <summary>Written without reflection, for programs that are compiled ahead of time.</summary>
[JsonSerializable(typeof(BindRecord))]
internal sealed partial class BindRecordJson : JsonSerializerContext;
