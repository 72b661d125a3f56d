using Vfio.Pci;

namespace Vfio.Cli.Show;

/// <summary>What an open device reports: its regions, its interrupts, and whether it can be reset.</summary>
/// <param name="Info">Flags and counts.</param>
/// <param name="Regions">The regions that the device has.</param>
/// <param name="Interrupts">The kinds of interrupt that the device has.</param>
/// <param name="Report">Whether it is well-behaved; null when the device belongs to another process.</param>
internal sealed record DeviceFacts(
    DeviceInfo Info, IReadOnlyList<RegionInfo> Regions, IReadOnlyList<InterruptInfo> Interrupts, WellBehavedReport? Report)
{
    /// <summary>What the device tree says of it; null for a PCI function, and where that is not known.</summary>
    internal NodeFacts? Node { get; private init; }

    internal static DeviceFacts Of(IVfioDevice device, WellBehavedReport? report) => new(
        device.Info,
        [.. Enumerable.Range(0, device.Info.RegionCount).Select(i => device.GetRegion(new RegionIndex((uint)i))).Where(region => region.Length > 0)],
        [.. Enumerable.Range(0, device.Info.InterruptCount).Select(i => device.GetInterrupt(new InterruptIndex((uint)i))).Where(kind => kind.Count > 0)],
        report)
    {
        Node = device.TryGet(out IPlatformDevice? node)
            ? new NodeFacts(node.DeviceTreePath, node.Compatible, node.RegionNames, node.InterruptNames)
            : null,
    };

    /// <summary>A region's name: of PCI or of the device tree.</summary>
    internal string NameOf(RegionIndex region) => NameOf(region.Value, region, "region", Node?.RegionNames);

    /// <summary>An interrupt's name: of PCI or of the device tree.</summary>
    internal string NameOf(InterruptIndex index) => NameOf(index.Value, index, "interrupt", Node?.InterruptNames);

    /// <summary>The same in lines, one tab before each.</summary>
    internal IEnumerable<string> Lines =>
    [
        .. Node is null ? [] : NodeLines(Node),
        .. Regions.Select(region => $"\tVFIO {NameOf(region.Index)}: {Size(region.Length)}, {Access(region)}"),
        .. Interrupts.Select(kind => $"\tVFIO {NameOf(kind.Index)}: {kind.Count} {(kind.Count == 1 ? "vector" : "vectors")}{Behaviour(kind.Flags)}"),
        $"\tVFIO reset: {(Info.CanReset ? "possible" : "impossible")}",
        .. Report is null ? [] : Judgement(Report),
    ];

    /// <summary>A number of bytes in the largest unit in which it is whole.</summary>
    internal static string Size(ulong bytes) => bytes switch
    {
        >= 1UL << 30 when bytes % (1UL << 30) == 0 => $"{bytes >> 30} GiB",
        >= 1UL << 20 when bytes % (1UL << 20) == 0 => $"{bytes >> 20} MiB",
        >= 1UL << 10 when bytes % (1UL << 10) == 0 => $"{bytes >> 10} KiB",
        _ => $"{bytes} bytes",
    };

    private static string[] NodeLines(NodeFacts node) => [$"\tDevice tree: {node.Path}", $"\tCompatible: {string.Join(' ', node.Compatible)}"];

    private string NameOf(uint number, object index, string kind, IReadOnlyList<string>? names) =>
        Info.Flags.HasFlag(DeviceFlags.Pci) ? index.ToString()!
            : number < names?.Count ? $"{kind} {number} ({names[(int)number]})" : $"{kind} {number}";

    private static IEnumerable<string> Judgement(WellBehavedReport report) =>
    [
        $"\tWell-behaved: {(report.IsWellBehaved ? "yes" : "no")}",
        .. report.Findings.Select(verdict => $"\t\t{verdict.Question}: {verdict.Answer.ToString().ToLowerInvariant()}, {verdict.Reason}"),
    ];

    internal static string Access(RegionInfo region)
    {
        string access = (region.Flags & (RegionFlags.Read | RegionFlags.Write)) switch
        {
            RegionFlags.Read => "read",
            RegionFlags.Write => "write",
            RegionFlags.None => "no access",
            _ => "read, write",
        };
        if (!region.IsMappable)
            return access;
        return access + (region.MmapAreas.Count == 0
            ? ", map"
            : ", map " + string.Join(' ', region.MmapAreas.Select(area => $"[{area.Offset:x}-{area.Offset + area.Length - 1:x}]")));
    }

    internal static string Behaviour(InterruptFlags flags) =>
        (flags.HasFlag(InterruptFlags.Maskable) ? ", maskable" : "") + (flags.HasFlag(InterruptFlags.AutoMasked) ? ", masked when it fires" : "");
}

/// <summary>What a device tree says of a device.</summary>
/// <param name="Path">Its node.</param>
/// <param name="Compatible">What it is compatible with.</param>
/// <param name="RegionNames">Names of regions.</param>
/// <param name="InterruptNames">Names of interrupts.</param>
internal sealed record NodeFacts(
    string Path, IReadOnlyList<string> Compatible, IReadOnlyList<string> RegionNames, IReadOnlyList<string> InterruptNames);
