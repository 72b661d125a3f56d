using Vfio.Pci.Config;
using Vfio.Pci.Decoding;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>Downstream Port Containment: PCI Express Base 6.0, section 7.9.14. Root ports may add logs, as long as it says.</summary>
/// <remarks>All fixed: ports belong to the machine.</remarks>
internal static class PortContainmentTable
{
    internal static readonly CapabilityTable Table = new(0x1d, true, "Downstream Port Containment", Layout) { Describe = Describe };

    private static readonly Register[] Port =
    [
        new Register(0x04, 2, "DpcCap")
        {
            { "INT Msg", 4, 0, Fixed, FieldText.Decimal },
            { "RPExt", 5, Fixed },
            { "PoisonedTLP", 6, Fixed },
            { "SwTrigger", 7, Fixed },
            { "RP PIO Log", 11, 8, Fixed, FieldText.Decimal },
            { "DL_ActiveErr", 12, Fixed },
        },
        new Register(0x06, 2, "DpcCtl")
        {
            { "Trigger", 1, 0, Fixed, code => $"{code:x}" },
            { "Cmpl", 2, Fixed },
            { "INT", 3, Fixed },
            { "ErrCor", 4, Fixed },
            { "PoisonedTLP", 5, Fixed },
            { "SwTrigger", 6, FixedStatus },
            { "DL_ActiveErr", 7, Fixed },
        },
        new Register(0x08, 2, "DpcSta")
        {
            { "Trigger", 0, FixedStatus },
            { "Reason", 2, 1, Fixed, code => $"{code:x2}" },
            { "INT", 3, FixedStatus },
            { "RPBusy", 4, Fixed },
            { "TriggerExt", 6, 5, Fixed, code => $"{code:x2}" },
            { "RP PIO ErrPtr", 12, 8, Fixed, code => $"{code:x2}" },
        },
        new Register(0x0a, 2, "Source") { { "ID", 15, 0, Fixed, id => $"{id:x4}" } },
    ];

    private static readonly Register[] RootPort =
    [
        Errors(0x0c, "RP PIO Status", FixedStatus),
        Errors(0x10, "RP PIO Mask", Fixed),
        Errors(0x14, "RP PIO Severity", Fixed),
        Errors(0x18, "RP PIO SysError", Fixed),
        Errors(0x1c, "RP PIO Exception", Fixed),
    ];

    private static CapabilityLayout Layout(CapabilityView view)
    {
        uint caps = view.Read(4, 2);
        if (!caps.Get(5))
            return new(0x0c, Port);
        // Four words of header, one that the vendor fills, then TLP prefixes.
        int words = (int)caps.Get(11, 8);
        IEnumerable<Register> log = Enumerable.Range(0, words)
            .Select(word => new Register(0x20 + (4 * word), 4, $"{LogName(word)}") { { "Log", 31, 0, Fixed } });
        return new(0x20 + (4 * words), [.. Port, .. RootPort, .. log]);
    }

    private static string LogName(int word) => word switch
    {
        < 4 => $"HeaderLog{word}",
        4 => "ImpSpecLog",
        _ => $"TLPPrefixLog{word - 5}",
    };

    private static Register Errors(int offset, string name, BitRule rule)
    {
        Register register = new(offset, 4, name);
        // A request for config, I/O or memory: each can be answered as unsupported, aborted, or not at all.
        foreach ((string kind, int bit) in (ReadOnlySpan<(string, int)>)[("Cfg", 0), ("IO", 8), ("Mem", 16)])
        {
            register.Add($"{kind}UR", bit, rule);
            register.Add($"{kind}CA", bit + 1, rule);
            register.Add($"{kind}CTO", bit + 2, rule);
        }

        return register;
    }

    private static void Describe(CapabilityText text)
    {
        if (!text.Has("Source"))
            return;
        text.Line("DpcCap", "DpcCap:\tINT Msg #{INT Msg}, {RPExt} {PoisonedTLP} {SwTrigger} RP PIO Log {RP PIO Log}, {DL_ActiveErr}");
        text.Line("DpcCtl", "DpcCtl:\tTrigger:{Trigger} {Cmpl} {INT} {ErrCor} {PoisonedTLP} {SwTrigger} {DL_ActiveErr}");
        text.Line("DpcSta", "DpcSta:\t{Trigger} Reason:{Reason} {INT} {RPBusy} TriggerExt:{TriggerExt} RP PIO ErrPtr:{RP PIO ErrPtr}");
        text.Line("Source", "Source:\t{ID}");
    }
}
