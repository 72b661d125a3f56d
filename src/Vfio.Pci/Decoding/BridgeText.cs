using Vfio.Pci.Capabilities;
using Vfio.Pci.Config;

namespace Vfio.Pci.Decoding;

/// <summary>Headers of bridges in words.</summary>
internal static class BridgeText
{
    internal static void AddType1(List<string> lines, ConfigSpace space, FunctionFacts facts, RegisterText text)
    {
        lines.AddRange(RegionText.Bars(space, facts, 2));
        if (!space.Knows(0, ConfigSpace.HeaderLength))
            return;
        lines.Add(Buses(space));
        lines.Add(IoWindow(space));
        lines.Add(MemoryWindow(space));
        lines.Add(PrefetchableWindow(space));
        lines.Add("\t" + text.Fill("Secondary status",
            "Secondary status: {66MHz} {FastB2B} {ParErr} DEVSEL={DEVSEL} {>TAbort} {<TAbort} {<MAbort} {<SERR} {<PERR}"));
        lines.AddRange(RegionText.Rom(space, facts, 0x38));
        lines.Add("\t" + text.Fill("BridgeCtl", "BridgeCtl: {Parity} {SERR} {NoISA} {VGA} {VGA16} {MAbort} {>Reset} {FastB2B}"));
        lines.Add("\t\t" + text.Fill("BridgeCtl", "{PriDiscTmr} {SecDiscTmr} {DiscTmrStat} {DiscTmrSERREn}"));
    }

    internal static void AddCardBus(List<string> lines, ConfigSpace space, FunctionFacts facts)
    {
        lines.AddRange(RegionText.Bars(space, facts, 1));
        if (!space.Knows(0, ConfigSpace.HeaderLength))
            return;
        uint command = space.Read16(4);
        uint control = space.Read16(0x3e);
        lines.Add(Buses(space));
        for (int window = 0; window < 2; window++)
        {
            uint start = space.Read32(0x1c + (8 * window));
            uint end = unchecked(space.Read32(0x20 + (8 * window)) + 0xfff);
            lines.Add($"\tMemory window {window}: {start:x8}-{end:x8}{(command.Get(1) ? "" : " [disabled]")}"
                + (control.Get(8 + window) ? " (prefetchable)" : ""));
        }

        for (int window = 0; window < 2; window++)
        {
            uint start = space.Read32(0x2c + (8 * window));
            uint end = space.Read32(0x30 + (8 * window));
            uint width = (start & 1) != 0 ? ~3u : 0xfffc;
            start &= width;
            end = (end & width) + 3;
            lines.Add($"\tI/O window {window}: {start:x8}-{end:x8}{(command.Get(0) ? "" : " [disabled]")}");
        }

        if (((uint)space.Read16(0x16)).Get(14))
            lines.Add("\tSecondary status: SERR");
        string[] flags = ["Parity", "SERR", "ISA", "VGA", "", "MAbort", ">Reset", "16bInt"];
        IEnumerable<int> bits = Enumerable.Range(0, 8).Where(bit => flags[bit].Length > 0);
        string signs = string.Join(' ', bits.Select(bit => flags[bit] + FieldText.Sign(control.Get(bit))));
        lines.Add($"\tBridgeCtl: {signs} PostWrite{FieldText.Sign(control.Get(10))}");
        if (space.Knows(0x44, 2) && space.Read16(0x44) is var legacy and not 0)
            lines.Add($"\t16-bit legacy interface ports at {legacy:x4}");
    }

    private static string Buses(ConfigSpace space) =>
        $"\tBus: primary={space.Read8(0x18):x2}, secondary={space.Read8(0x19):x2}, subordinate={space.Read8(0x1a):x2}, "
        + $"sec-latency={space.Read8(0x1b)}";

    private static string IoWindow(ConfigSpace space)
    {
        uint start = space.Read8(0x1c);
        uint end = space.Read8(0x1d);
        uint width = start & 0xf;
        if (width != (end & 0xf) || width > 1)
            return $"\t!!! Unknown I/O range types {start:x}/{end:x}";
        start = (start & 0xf0) << 8;
        end = (end & 0xf0) << 8 | 0xfff;
        if (width == 1)
        {
            start |= (uint)space.Read16(0x30) << 16;
            end |= (uint)space.Read16(0x32) << 16;
        }

        return Range("I/O behind bridge", start, end, width == 1 ? 32 : 16);
    }

    private static string MemoryWindow(ConfigSpace space)
    {
        uint start = space.Read16(0x20);
        uint end = space.Read16(0x22);
        return (start & 0xf) != 0 || (end & 0xf) != 0
            ? $"\t!!! Unknown memory range types {start:x}/{end:x}"
            : Range("Memory behind bridge", start << 16, end << 16 | 0xfffff, 32);
    }

    private static string PrefetchableWindow(ConfigSpace space)
    {
        uint start = space.Read16(0x24);
        uint end = space.Read16(0x26);
        uint width = start & 0xf;
        if (width != (end & 0xf) || width > 1)
            return $"\t!!! Unknown prefetchable memory range types {start:x}/{end:x}";
        ulong from = (start & 0xfff0) << 16;
        ulong to = (end & 0xfff0) << 16 | 0xfffff;
        if (width == 1)
        {
            from |= (ulong)space.Read32(0x28) << 32;
            to |= (ulong)space.Read32(0x2c) << 32;
        }

        return Range("Prefetchable memory behind bridge", from, to, width == 1 ? 64 : 32);
    }

    private static string Range(string name, ulong from, ulong to, int bits)
    {
        string digits = $"x{bits / 4}";
        string place = $"{from.ToString(digits)}-{to.ToString(digits)}";
        return from <= to
            ? $"\t{name}: {place}{RegionText.Size(unchecked(to - from + 1))} [{bits}-bit]"
            : $"\t{name}: {place} [disabled] [{bits}-bit]";
    }
}
