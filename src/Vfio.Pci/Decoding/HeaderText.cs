using Vfio.Pci.Capabilities;
using Vfio.Pci.Capabilities.Standard;

namespace Vfio.Pci.Decoding;

/// <summary>The header of a function in words, with what is known from elsewhere.</summary>
internal static class HeaderText
{
    private const ushort BridgeClass = 0x06;
    private const ushort PciBridge = 0x0604;

    internal static List<string> Lines(ConfigSpace space, FunctionFacts facts, CapabilityList list)
    {
        RegisterText text = new(space, 0, HeaderTable.Of(space));
        List<string> lines = [];
        if (facts.Label is not null)
            lines.Add($"\tDeviceName: {facts.Label}");
        if (Subsystem(space, facts, list) is { } subsystem)
            lines.Add($"\tSubsystem: {subsystem}");
        if (Doubt(space) is { } doubt)
            lines.Add($"\t!!! {doubt}");
        if (facts.Slot is not null)
            lines.Add($"\tPhysical Slot: {facts.Slot}");
        bool isKnownLayout = space.Knows(0x0e, 1) && space.HeaderType <= 2;
        if (isKnownLayout)
            AddControl(lines, space, text);
        AddInterrupt(lines, space, facts, isKnownLayout);
        if (facts.NumaNode is not null)
            lines.Add($"\tNUMA node: {facts.NumaNode}");
        if (facts.IommuGroup is not null)
            lines.Add($"\tIOMMU group: {facts.IommuGroup}");
        if (isKnownLayout && text.Has("BIST") && text.IsSet("BIST", "Capable"))
            lines.Add(text.IsSet("BIST", "Start") ? "\tBIST is running" : $"\tBIST result: {text.Get("BIST", "Code"):x2}");
        switch (isKnownLayout ? space.HeaderType : -1)
        {
            case 0:
                lines.AddRange(RegionText.Bars(space, facts, 6));
                lines.AddRange(RegionText.Rom(space, facts, 0x30));
                break;
            case 1:
                BridgeText.AddType1(lines, space, facts, text);
                break;
            case 2:
                BridgeText.AddCardBus(lines, space, facts);
                break;
        }

        return lines;
    }

    private static string? Subsystem(ConfigSpace space, FunctionFacts facts, CapabilityList list)
    {
        int? offset = space.HeaderType switch
        {
            0 => 0x2c,
            1 => list.Find(SubsystemTable.Id, isExtended: false)?.Offset + 4,
            2 => 0x40,
            _ => null,
        };
        if (offset is not { } at || !space.Knows(at, 4) || space.Read16(at) is 0 or 0xffff)
            return null;
        return facts.Names.Subsystem(
            facts.VendorId ?? space.VendorId, facts.DeviceId ?? space.DeviceId, space.Read16(at), space.Read16(at + 2));
    }

    private static string? Doubt(ConfigSpace space)
    {
        if (!space.Knows(0x0e, 1))
            return $"Only {space.Length} bytes are known";
        ushort code = space.Read16(0x0a);
        return space.HeaderType switch
        {
            0 when code == PciBridge => $"Invalid class {code:x4} for header type 00",
            1 or 2 when code >> 8 != BridgeClass => $"Invalid class {code:x4} for header type {space.HeaderType:x2}",
            > 2 => $"Unknown header type {space.HeaderType:x2}",
            _ => null,
        };
    }

    private static void AddControl(List<string> lines, ConfigSpace space, RegisterText text)
    {
        lines.Add("\t" + text.Fill("Control",
            "Control: {I/O} {Mem} {BusMaster} {SpecCycle} {MemWINV} {VGASnoop} {ParErr} {Stepping} {SERR} {FastB2B} {DisINTx}"));
        lines.Add("\t" + text.Fill("Status",
            "Status: {Cap} {66MHz} {UDF} {FastB2B} {ParErr} DEVSEL={DEVSEL} {>TAbort} {<TAbort} {<MAbort} {>SERR} {<PERR} {INTx}"));
        if (!text.IsSet("Control", "BusMaster"))
            return;
        uint shortest = text.Has("MinGnt") ? text.Value("MinGnt") : 0;
        uint longest = text.Has("MaxLat") ? text.Value("MaxLat") : 0;
        string[] limits =
        [
            .. shortest != 0 ? [$"{shortest * 250}ns min"] : Array.Empty<string>(),
            .. longest != 0 ? [$"{longest * 250}ns max"] : Array.Empty<string>(),
        ];
        byte cacheLine = space.Read8(0x0c);
        lines.Add($"\tLatency: {space.Read8(0x0d)}"
            + (limits.Length > 0 ? $" ({string.Join(", ", limits)})" : "")
            + (cacheLine != 0 ? $", Cache Line Size: {cacheLine * 4} bytes" : ""));
    }

    private static void AddInterrupt(List<string> lines, ConfigSpace space, FunctionFacts facts, bool isKnownLayout)
    {
        int pin = isKnownLayout && space.Knows(0x3d, 1) ? space.Read8(0x3d) : 0;
        uint line = facts.Interrupt ?? (space.Knows(0x3c, 1) ? space.Read8(0x3c) : 0u);
        if (pin != 0 || line != 0)
            lines.Add($"\tInterrupt: pin {(pin != 0 ? (char)('A' + pin - 1) : '?')} routed to IRQ {line}");
    }
}
