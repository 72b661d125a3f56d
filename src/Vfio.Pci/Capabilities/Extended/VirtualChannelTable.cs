using Vfio.Pci.Config;
using Vfio.Pci.Decoding;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>Virtual Channel and Multi-Function Virtual Channel: PCI Express Base 6.0, sections 7.9.1 and 7.9.2.</summary>
/// <remarks>All fixed: arbitration shares a link with others. The sizes of the arbitration tables follow from the largest one supported.
/// </remarks>
internal static class VirtualChannelTable
{
    internal static readonly CapabilityTable[] Tables =
    [
        new(0x02, true, "Virtual Channel", Layout) { Describe = Describe },
        new(0x08, true, "Multi-Function Virtual Channel", Layout) { Describe = Describe },
        new(0x09, true, "Virtual Channel", Layout) { Describe = Describe },
    ];

    private static readonly Register[] Port =
    [
        new Register(0x04, 4, "Caps")
        {
            { "EVC", 2, 0, Fixed, FieldText.Decimal },
            { "LPEVC", 6, 4, Fixed, FieldText.Decimal },
            { "RefClk", 9, 8, Fixed, code => code == 0 ? "100ns" : $"??{code}" },
            { "PATEntryBits", 11, 10, Fixed, code => $"{1 << (int)code}" },
        },
        new Register(0x08, 4, "Arb")
        {
            { "Fixed", 0, Fixed },
            { "WRR32", 1, Fixed },
            { "WRR64", 2, Fixed },
            { "WRR128", 3, Fixed },
            { "TableOffset", 31, 24, Fixed },
        },
        new Register(0x0c, 2, "Ctrl") { { "LoadTable", 0, Fixed }, { "ArbSelect", 3, 1, Fixed, PortArbitration } },
        new Register(0x0e, 2, "Status") { { "InProgress", 0, Fixed } },
    ];

    private static CapabilityLayout Layout(CapabilityView view)
    {
        int channels = (int)view.Read(4, 4).Get(2, 0) + 1;
        int entryBits = 1 << (int)view.Read(4, 4).Get(11, 10);
        SortedDictionary<int, Register> registers = [];
        int length = 0x10 + (12 * channels);
        foreach (Register register in Port.Concat(Enumerable.Range(0, channels).SelectMany(Channel)))
            registers.Add(register.Offset, register);

        uint arbitration = view.Read(8, 4);
        AddTable("VCArb", arbitration.Get(31, 24), PortPhases(arbitration) * 4);
        for (int channel = 0; channel < channels; channel++)
        {
            uint caps = view.Read(0x10 + (12 * channel), 4);
            AddTable($"PortArb{channel}", caps.Get(31, 24), ChannelPhases(caps) * entryBits);
        }

        return new(length, [.. registers.Values]);

        // A table in the middle of registers, or of another table, is a broken one: it is left out.
        void AddTable(string name, uint offsetIn16, int bits)
        {
            int start = (int)offsetIn16 * 16;
            int end = start + (bits / 8);
            if (offsetIn16 == 0 || registers.Keys.Any(offset => offset >= start - 3 && offset < end))
                return;
            foreach (int at in Enumerable.Range(0, (end - start) / 4).Select(index => start + (4 * index)))
                registers.Add(at, new Register(at, 4, $"{name}[{(at - start) / 4}]") { { "Entries", 31, 0, Fixed } });
            length = Math.Max(length, end);
        }
    }

    private static IEnumerable<Register> Channel(int number)
    {
        int offset = 0x10 + (12 * number);
        return
        [
            new Register(offset, 4, $"VC{number}Caps")
            {
                { "Fixed", 0, Fixed },
                { "WRR32", 1, Fixed },
                { "WRR64", 2, Fixed },
                { "WRR128", 3, Fixed },
                { "TWRR128", 4, Fixed },
                { "WRR256", 5, Fixed },
                { "RejSnoopTrans", 15, Fixed },
                { "MaxTimeSlots", 22, 16, Fixed, code => $"{code + 1}" },
                { "PATOffset", 31, 24, Fixed, offset => $"{offset:x2}" },
            },
            new Register(offset + 4, 4, $"VC{number}Ctrl")
            {
                { "TC/VC", 7, 0, Fixed, map => $"{map:x2}" },
                { "LoadTable", 16, Fixed },
                { "ArbSelect", 19, 17, Fixed, ChannelArbitration },
                { "ID", 26, 24, Fixed, FieldText.Decimal },
                { "Enable", 31, Fixed },
            },
            new Register(offset + 10, 2, $"VC{number}Status") { { "InProgress", 0, Fixed }, { "NegoPending", 1, Fixed } },
        ];
    }

    private static void Describe(CapabilityText text)
    {
        if (!text.Has("Status"))
            return;
        text.Line("Caps", "Caps:\tLPEVC={LPEVC} RefClk={RefClk} PATEntryBits={PATEntryBits}");
        text.Line("Arb", "Arb:\t{Fixed} {WRR32} {WRR64} {WRR128}" + Unnamed(text.Value("Arb"), 4));
        text.Line("Ctrl", "Ctrl:\tArbSelect={ArbSelect}");
        text.Line("Status", "Status:\t{InProgress}");
        uint table = text.Get("Arb", "TableOffset") * 16;
        if (table != 0)
        {
            text.Add($"Port Arbitration Table [{text.Capability.Offset + table:x}] <?>");
            AddTable(text, "\t", "VCArb");
        }

        for (int channel = 0; channel <= text.Get("Caps", "EVC"); channel++)
            DescribeChannel(text, channel);
    }

    private static void DescribeChannel(CapabilityText text, int channel)
    {
        string name = $"VC{channel}";
        if (!text.Has($"{name}Status"))
        {
            text.Add($"{name}:\t<unreadable>");
            return;
        }

        text.Line($"{name}Caps", $"{name}:\tCaps:\tPATOffset={{PATOffset}} MaxTimeSlots={{MaxTimeSlots}} {{RejSnoopTrans}}");
        text.More($"{name}Caps", "Arb:\t{Fixed} {WRR32} {WRR64} {WRR128} {TWRR128} {WRR256}" + Unnamed(text.Value($"{name}Caps"), 6));
        text.More($"{name}Ctrl", "Ctrl:\t{Enable} ID={ID} ArbSelect={ArbSelect} TC/VC={TC/VC}");
        text.More($"{name}Status", "Status:\t{NegoPending} {InProgress}");
        if (text.IsSet($"{name}Caps", "PATOffset"))
        {
            text.More($"{name}Caps", "Port Arbitration Table <?>");
            AddTable(text, "\t\t", $"PortArb{channel}");
        }
    }

    // Reserved bits are worth a word only when they are set.
    private static string Unnamed(uint supported, int from) =>
        string.Concat(Enumerable.Range(from, 8 - from).Where(bit => supported.Get(bit)).Select(bit => $" ??{bit}+"));

    private static void AddTable(CapabilityText text, string indent, string name)
    {
        IEnumerable<string> words = Enumerable.Range(0, 64)
            .TakeWhile(index => text.Has($"{name}[{index}]"))
            .Select(index => $"{text.Value($"{name}[{index}]"):x8}");
        foreach (string[] row in words.Chunk(8))
            text.Add($"{indent}{string.Join(' ', row)}");
    }

    private static int PortPhases(uint supported) => supported.Get(3) ? 128 : supported.Get(2) ? 64 : supported.Get(1) ? 32 : 0;

    private static int ChannelPhases(uint supported) => supported.Get(5) ? 256 : supported.Get(4) ? 128 : PortPhases(supported);

    private static string PortArbitration(uint code) => code switch
    {
        0 => "Fixed",
        1 => "WRR32",
        2 => "WRR64",
        3 => "WRR128",
        _ => $"??{code}",
    };

    private static string ChannelArbitration(uint code) => code switch
    {
        4 => "TWRR128",
        5 => "WRR256",
        _ => PortArbitration(code),
    };
}
