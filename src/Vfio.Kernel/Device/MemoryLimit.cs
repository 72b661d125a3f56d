using System.Globalization;

namespace Vfio.Kernel.Device;

/// <summary>RLIMIT_MEMLOCK: how much memory this process may pin.</summary>
internal static class MemoryLimit
{
    private const string Row = "Max locked memory";

    /// <summary>What to do when pinning failed.</summary>
    internal static string Explain() => Read() is { } bytes
        ? $"pinned memory is limited to {bytes} bytes (RLIMIT_MEMLOCK, 'ulimit -l'); raise it, or map less"
        : "the kernel has no memory, or no more mappings for this device";

    /// <summary>The limit in bytes; null when there is none.</summary>
    internal static ulong? Read()
    {
        string line = File.ReadLines("/proc/self/limits").First(line => line.StartsWith(Row, StringComparison.Ordinal));
        string soft = line[Row.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries)[0];
        return ulong.TryParse(soft, CultureInfo.InvariantCulture, out ulong bytes) ? bytes : null;
    }
}
