using System.Buffers.Binary;
using Vfio.Native;
using Vfio.Pci;
using Vfio.Pci.Capabilities;
using Vfio.Pci.Rules;
using Vfio.Description;

namespace Vfio;

/// <summary>What a device has, as one piece of bytes that describes itself: regions, interrupts, addresses, and each bit of config space with
/// its rule.</summary>
/// <remarks>The self-describing table that was proposed for VFIO in 2011. It is made from a device on the fly, and can be sent, kept and
/// compared. docs/table.md has the format. Instances do not change.</remarks>
public sealed class DeviceTable
{
    private readonly DeviceTableRecord? _device;

    private DeviceTable(int version, IReadOnlyList<DeviceTableRecord> records)
    {
        Version = version;
        Records = records;
        _device = records.FirstOrDefault(record => record.Type == RecordTypes.Device);
    }

    /// <summary>The version of the format that its writer knew; 1 or more.</summary>
    public int Version { get; }

    /// <summary>All records, also of types that this library does not know.</summary>
    public IReadOnlyList<DeviceTableRecord> Records { get; }

    /// <summary>The device's name, as it was opened; empty when the table has none.</summary>
    public string Name => _device?.TextOf(RecordTypes.Name) ?? "";

    /// <summary>Its kind and features.</summary>
    public DeviceInfo Info => _device is null
        ? default
        : new((DeviceFlags)_device.Number(0, 4), (int)Math.Min(int.MaxValue, _device.Number(4, 4)), (int)Math.Min(int.MaxValue, _device.Number(8, 4)));

    /// <summary>The regions that it has; none of them can be mapped from the table.</summary>
    public IReadOnlyList<RegionInfo> Regions =>
    [
        .. Of(RecordTypes.Region).Select(record => new RegionInfo(
            new RegionIndex((uint)record.Number(0, 4)), record.Number(8, 8), (RegionFlags)record.Number(4, 4))
        {
            MmapAreas = [.. PairsOf(record, RecordTypes.MmapAreas).Select(pair => new MmapArea(pair.First, pair.Second))],
        }),
    ];

    /// <summary>The kinds of interrupt that it has.</summary>
    public IReadOnlyList<InterruptInfo> Interrupts =>
    [
        .. Of(RecordTypes.Interrupt).Select(record => new InterruptInfo(
            new InterruptIndex((uint)record.Number(0, 4)), (int)Math.Min(int.MaxValue, record.Number(8, 4)), (InterruptFlags)record.Number(4, 4))),
    ];

    /// <summary>Makes the table of a device: its bytes.</summary>
    /// <remarks>Config space is read as the device shows it to its user. The rules are those of this library's guard.</remarks>
    /// <exception cref="VfioException">The device did not answer.</exception>
    public static byte[] Write(IVfioDevice device)
    {
        ArgumentNullException.ThrowIfNull(device);
        TableWriter table = new();
        DeviceInfo info = device.Info;
        device.TryGet(out IPlatformDevice? node);
        table.Record(
            RecordTypes.Device,
            [((uint)info.Flags, 4), ((uint)info.RegionCount, 4), ((uint)info.InterruptCount, 4)],
            () =>
            {
                table.Text(RecordTypes.Name, device.Name);
                if (node is not null)
                    table.Text(RecordTypes.DeviceTreePath, node.DeviceTreePath);
                foreach (string compatible in node?.Compatible ?? [])
                    table.Text(RecordTypes.Compatible, compatible);
            });
        for (uint i = 0; i < info.RegionCount; i++)
            WriteRegion(table, device, new RegionIndex(i), NameOf(info, new RegionIndex(i), node?.RegionNames, i));
        for (uint i = 0; i < info.InterruptCount; i++)
        {
            InterruptInfo kind = device.GetInterrupt(new InterruptIndex(i));
            if (kind.Count > 0)
            {
                string? name = NameOf(info, kind.Index, node?.InterruptNames, i);
                table.Record(
                    RecordTypes.Interrupt,
                    [(i, 4), ((uint)kind.Flags, 4), ((uint)kind.Count, 4)],
                    name is null ? null : () => table.Text(RecordTypes.Name, name));
            }
        }

        table.Record(RecordTypes.IovaRanges, device.IovaRanges.SelectMany(range => Pair(range.Start.Value, range.Length)));
        if (info.Flags.HasFlag(DeviceFlags.Pci))
            WriteConfig(table, device);
        return table.End();
    }

    /// <summary>Reads a table. It may come from anybody, and from a newer version of this library.</summary>
    /// <param name="table">Its bytes, at most 4 MiB; they must not change while the table is in use. What follows the table is left out.</param>
    /// <exception cref="VfioException">EINVAL: it is no table, or is cut off or contradicts itself.</exception>
    public static DeviceTable Parse(ReadOnlyMemory<byte> table)
    {
        ReadOnlySpan<byte> head = table.Span;
        if (head.Length < TableFormat.HeadBytes || !IsTable(head))
            throw TableFormat.Broken(0, "it does not start as a table");
        int headLength = BinaryPrimitives.ReadUInt16LittleEndian(head[10..]);
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(head[12..]);
        if (headLength < TableFormat.HeadBytes || headLength % TableFormat.Alignment != 0 || length < headLength)
            throw TableFormat.Broken(0, $"a head of {headLength} bytes in a table of {length}");
        if (length > TableFormat.MaxBytes)
            throw TableFormat.Broken(0, $"it says that it has {length} bytes, and at most {TableFormat.MaxBytes} are read");
        if (length > table.Length)
            throw TableFormat.Broken(0, $"it is cut off: {table.Length} of {length} bytes are here");
        return new DeviceTable(
            BinaryPrimitives.ReadUInt16LittleEndian(head[8..]),
            DeviceTableRecord.ReadAll(table[headLength..(int)length], headLength, depth: 1));
    }

    /// <summary>Whether bytes start as a table does.</summary>
    internal static bool IsTable(ReadOnlySpan<byte> bytes) => bytes.StartsWith(TableFormat.Mark);

    /// <summary>The name of a region or an interrupt: PCI's for its number, or the device tree's.</summary>
    private static string? NameOf(in DeviceInfo info, object index, IReadOnlyList<string>? names, uint number) =>
        info.Flags.HasFlag(DeviceFlags.Pci) ? index.ToString() : number < names?.Count ? names[(int)number] : null;

    private static void WriteRegion(TableWriter table, IVfioDevice device, RegionIndex index, string? name)
    {
        RegionInfo region = device.GetRegion(index);
        if (region.Length == 0)
            return;
        table.Record(
            RecordTypes.Region,
            [(index.Value, 4), ((uint)region.Flags, 4), (region.Length, 8)],
            () =>
            {
                if (name is not null)
                    table.Text(RecordTypes.Name, name);
                if (region.MmapAreas.Count > 0)
                    table.Record(RecordTypes.MmapAreas, region.MmapAreas.SelectMany(area => Pair(area.Offset, area.Length)));
                foreach (Doorbell bell in device.GetDoorbells(index))
                    table.Record(RecordTypes.Doorbell, [(bell.Offset, 8), ((uint)bell.Width, 4), (bell.Match is null ? 0u : 1u, 4), (bell.Match ?? 0, 8)]);
            });
    }

    private static void WriteConfig(TableWriter table, IVfioDevice device)
    {
        byte[] bytes = new byte[Math.Min(device.GetRegion(RegionIndex.Config).Length, ConfigSpace.ExtendedLength)];
        device.ReadRegion(RegionIndex.Config, 0, bytes);
        ConfigSpace space = new(bytes);
        CapabilityList capabilities = CapabilityList.Read(space);
        Dictionary<int, Capability> byOffset = [];
        foreach (Capability item in capabilities.Items)
            byOffset.TryAdd(item.Offset, item);
        table.Record(
            RecordTypes.Config,
            [((uint)bytes.Length, 4)],
            () =>
            {
                foreach (RuledStructure structure in RuledStructure.Of(space, capabilities))
                {
                    Capability? item = byOffset.GetValueOrDefault(structure.Offset);
                    table.Record(
                        RecordTypes.Structure,
                        [((uint)structure.Offset, 4), ((uint)structure.Length, 4), (item?.Id ?? 0u, 2), (item is { IsExtended: true } ? 1u : 0u, 1), ((uint)(item?.Version ?? 0), 1)],
                        () =>
                        {
                            table.Text(RecordTypes.Name, item?.Name ?? structure.Name);
                            foreach (Register register in structure.Registers)
                                WriteRegister(table, structure, register);
                        });
                }
            });
    }

    private static void WriteRegister(TableWriter table, RuledStructure structure, Register register) =>
        table.Record(
            RecordTypes.Register,
            [((uint)(structure.Offset + register.Offset), 4), ((uint)register.Bytes, 1)],
            () =>
            {
                table.Text(RecordTypes.Name, register.Name);
                foreach (Field field in register)
                {
                    table.Record(
                        RecordTypes.Field,
                        [(BitRuleSymbol.Of(field.Rule), 1), ((uint)field.High, 1), ((uint)field.Low, 1)],
                        () => table.Text(RecordTypes.Name, field.Name));
                }
            });

    private static (ulong, int)[] Pair(ulong first, ulong second) => [(first, 8), (second, 8)];

    private IEnumerable<DeviceTableRecord> Of(string type) => Records.Where(record => record.Type == type);

    private static IEnumerable<(ulong First, ulong Second)> PairsOf(DeviceTableRecord record, string type)
    {
        if (record.Records.FirstOrDefault(below => below.Type == type) is not { } pairs)
            yield break;
        for (int offset = 0; offset + 16 <= pairs.Content.Length; offset += 16)
            yield return (pairs.Number(offset, 8), pairs.Number(offset + 8, 8));
    }
}
