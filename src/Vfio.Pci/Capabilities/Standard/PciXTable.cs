using Vfio.Pci.Config;
using Vfio.Pci.Decoding;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Standard;

/// <summary>PCI-X: PCI-X Protocol Addendum 2.0a, section 7.2 (functions) and 8.6 (bridges). 8 bytes, 24 with ECC registers.</summary>
internal static class PciXTable
{
    internal const ushort Id = 0x07;

    private static readonly Register[] Function =
    [
        // The function's own requests only.
        new Register(0x02, 2, "Command")
        {
            { "DPERE", 0, PassedThrough },
            { "ERO", 1, PassedThrough },
            { "RBC", 3, 2, PassedThrough, code => $"{512 << (int)code}" },
            { "OST", 6, 4, PassedThrough, Outstanding },
            { "Version", 13, 12, Fixed },
        },
        new Register(0x04, 4, "Status")
        {
            { "Function", 2, 0, Fixed },
            { "Device", 7, 3, Fixed },
            { "Bus", 15, 8, Fixed },
            { "64bit", 16, Fixed },
            { "133MHz", 17, Fixed },
            { "SCD", 18, FixedStatus },
            { "USC", 19, FixedStatus },
            { "DC", 20, 20, Fixed, code => code == 0 ? "simple" : "bridge" },
            { "DMMRBC", 22, 21, Fixed, code => $"{512 << (int)code}" },
            { "DMOST", 25, 23, Fixed, Outstanding },
            { "DMCRS", 28, 26, Fixed, code => $"{8 << (int)code}" },
            { "RSCEM", 29, FixedStatus },
            { "266MHz", 30, Fixed },
            { "533MHz", 31, Fixed },
        },
    ];

    private static readonly Register[] FunctionEcc = [.. Ecc(0x08, PassedThrough)];

    private static readonly CapabilityLayout Bridge = new(16,
    [
        new Register(0x02, 2, "Secondary Status")
        {
            { "64bit", 0, Fixed },
            { "133MHz", 1, Fixed },
            { "SCD", 2, FixedStatus },
            { "USC", 3, FixedStatus },
            { "SCO", 4, FixedStatus },
            { "SRD", 5, FixedStatus },
            { "Freq", 8, 6, Fixed, Frequency },
            { "Version", 13, 12, Fixed },
        },
        new Register(0x04, 4, "Status")
        {
            { "Function", 2, 0, Fixed },
            { "Device", 7, 3, Fixed },
            { "Bus", 15, 8, Fixed },
            { "64bit", 16, Fixed },
            { "133MHz", 17, Fixed },
            { "SCD", 18, FixedStatus },
            { "USC", 19, FixedStatus },
            { "SCO", 20, FixedStatus },
            { "SRD", 21, FixedStatus },
        },
        new Register(0x08, 4, "Upstream")
        {
            { "Capacity", 15, 0, Fixed, FieldText.Decimal },
            { "CommitmentLimit", 31, 16, Fixed, FieldText.Decimal },
        },
        new Register(0x0c, 4, "Downstream")
        {
            { "Capacity", 15, 0, Fixed, FieldText.Decimal },
            { "CommitmentLimit", 31, 16, Fixed, FieldText.Decimal },
        },
    ]);

    private static readonly Register[] BridgeEcc = [.. Ecc(0x10, Fixed)];

    internal static readonly CapabilityTable Table = new(Id, false, "PCI-X", Layout) { Describe = Describe };

    private static void Describe(CapabilityText text)
    {
        bool isBridge = text.Space.HeaderType == 1;
        text.Title = isBridge ? "PCI-X bridge device" : "PCI-X non-bridge device";
        string place = text.Has("Status")
            ? $"Dev={text.Get("Status", "Bus"):x2}:{text.Get("Status", "Device"):x2}.{text.Get("Status", "Function")}"
            : "";
        if (isBridge)
        {
            text.Line("Secondary Status", "Secondary Status: {64bit} {133MHz} {SCD} {USC} {SCO} {SRD} Freq={Freq}");
            text.Line("Status", $"Status: {place} {{64bit}} {{133MHz}} {{SCD}} {{USC}} {{SCO}} {{SRD}}");
            text.Line("Upstream", "Upstream: Capacity={Capacity} CommitmentLimit={CommitmentLimit}");
            text.Line("Downstream", "Downstream: Capacity={Capacity} CommitmentLimit={CommitmentLimit}");
            return;
        }

        text.Line("Command", "Command: {DPERE} {ERO} RBC={RBC} OST={OST}");
        text.Line("Status", $"Status: {place} {{64bit}} {{133MHz}} {{SCD}} {{USC}} DC={{DC}} DMMRBC={{DMMRBC}} DMOST={{DMOST}} "
            + "DMCRS={DMCRS} {RSCEM} {266MHz} {533MHz}");
    }

    private static CapabilityLayout Layout(CapabilityView view)
    {
        bool hasEcc = view.Read(2, 2).Get(13, 12) is 1 or 2;
        if (view.Space.HeaderType == 1)
            return hasEcc ? new(32, [.. Bridge.Registers, .. BridgeEcc]) : Bridge;
        return hasEcc ? new(24, [.. Function, .. FunctionEcc]) : new(8, Function);
    }

    private static IEnumerable<Register> Ecc(int offset, BitRule rule) =>
    [
        new Register(offset, 4, "ECCControl") { { "Value", 31, 0, rule } },
        new Register(offset + 4, 4, "ECCFirstAddress") { { "Address", 31, 0, Fixed } },
        new Register(offset + 8, 4, "ECCSecondAddress") { { "Address", 31, 0, Fixed } },
        new Register(offset + 12, 4, "ECCAttribute") { { "Attribute", 31, 0, Fixed } },
    ];

    private static string Outstanding(uint code) => code switch
    {
        < 4 => $"{code + 1}",
        4 => "8",
        5 => "12",
        6 => "16",
        _ => "32",
    };

    private static string Frequency(uint code) => code switch
    {
        0 => "conv",
        1 => "66MHz",
        2 => "100MHz",
        3 => "133MHz",
        _ => $"?{code}",
    };
}
