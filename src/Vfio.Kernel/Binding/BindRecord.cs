using System.Text.Json;
using System.Text.Json.Serialization;
using Vfio.Kernel.Topology;
using Vfio.Pci;

namespace Vfio.Kernel.Binding;

/// <summary>The state of a function before it was bound to vfio-pci, as needed to undo that.</summary>
/// <param name="Driver">The driver that had it; null for none.</param>
/// <param name="Override">Its driver override; null for none.</param>
/// <param name="Device">Vendor and device ID; a record of another device at the same address is ignored. Null in records of older versions.</param>
internal sealed record BindRecord(string? Driver, string? Override, string? Device = null)
{
    private const int MaxNameLength = 64;

    /// <summary>Reads the record of a function; null if there is none, or it is damaged, of another device, or not owned by root.</summary>
    internal static BindRecord? Load(IBindingSystem system, KernelPaths paths, KernelFunction function)
    {
        try
        {
            return system.ReadRecord(paths.Records, NameOf(function.Address)) is { } bytes
                && JsonSerializer.Deserialize(bytes, BindRecordJson.Default.BindRecord) is { } record
                && IsName(record.Driver) && IsName(record.Override)
                && (record.Device is null || record.Device == IdsOf(function))
                    ? record
                    : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>The record of a function as it is now.</summary>
    internal static BindRecord Of(KernelFunction function) => new(function.Driver, function.DriverOverride, IdsOf(function));

    /// <summary>The record as JSON.</summary>
    internal byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, BindRecordJson.Default.BindRecord);

    /// <summary>The file's name.</summary>
    internal static string NameOf(PciAddress address) => $"{address}.json";

    /// <summary>Whether a text can be the name of a driver, which is the name of a folder; no other text is written to the kernel.</summary>
    private static bool IsName(string? text) => text is null
        || (text.Length is > 0 and <= MaxNameLength && text.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '_' or '.' or '+'));

    /// <summary>Vendor and device ID in hex.</summary>
    internal static string? IdsOf(KernelFunction function) =>
        function.Sysfs.Text("vendor") is { } vendor && function.Sysfs.Text("device") is { } device ? $"{vendor[2..]}:{device[2..]}" : null;
}

/// <summary>Written without reflection, for programs that are compiled ahead of time.</summary>
[JsonSerializable(typeof(BindRecord))]
internal sealed partial class BindRecordJson : JsonSerializerContext;
