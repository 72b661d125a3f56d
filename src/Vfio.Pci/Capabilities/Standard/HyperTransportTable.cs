using Vfio.Pci.Config;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Standard;

/// <summary>HyperTransport: HyperTransport I/O Link 3.10, chapter 7. The upper bits of its command register have its type.</summary>
/// <remarks>All fixed: links and mappings are the machine's.</remarks>
internal static class HyperTransportTable
{
    internal static readonly CapabilityTable Table = new(0x08, false, "HyperTransport", Layout) { Describe = HyperTransportText.Describe };

    private static readonly Register[] Primary =
    [
        new Register(0x02, 2, "Command")
        {
            { "BaseUnitID", 4, 0, Fixed, FieldText.Decimal },
            { "UnitCnt", 9, 5, Fixed, FieldText.Decimal },
            { "MastHost", 10, Fixed },
            { "DefDir", 11, Fixed },
            { "DUL", 12, Fixed },
            { "Type", 15, 13, Fixed },
        },
        LinkControl(0x04, "Link Control 0"),
        LinkConfig(0x06, "Link Config 0"),
        LinkControl(0x08, "Link Control 1"),
        LinkConfig(0x0a, "Link Config 1"),
        Revision(0x0c),
        Frequency(0x0d, "Link Error 0"),
        Frequencies(0x0e, "Link Frequency Capability 0"),
        Features(0x10, 1),
        Frequency(0x11, "Link Error 1"),
        Frequencies(0x12, "Link Frequency Capability 1"),
        new Register(0x14, 2, "Scratchpad") { { "Data", 15, 0, Fixed } },
        Errors(0x16),
        new Register(0x18, 1, "MemoryBaseUpper") { { "Base", 7, 0, Fixed } },
        new Register(0x19, 1, "MemoryLimitUpper") { { "Limit", 7, 0, Fixed } },
        new Register(0x1a, 1, "Bus") { { "Number", 7, 0, Fixed } },
    ];

    private static readonly Register[] Secondary =
    [
        new Register(0x02, 2, "Command")
        {
            { "WarmRst", 0, Fixed },
            { "DblEnd", 1, Fixed },
            { "DevNum", 6, 2, Fixed, FieldText.Decimal },
            { "ChainSide", 7, Fixed },
            { "HostHide", 8, Fixed },
            { "Slave", 10, Fixed },
            { "<EOCErr", 11, FixedStatus },
            { "DUL", 12, Fixed },
            { "Type", 15, 13, Fixed },
        },
        LinkControl(0x04, "Link Control"),
        LinkConfig(0x06, "Link Config"),
        Revision(0x08),
        Frequency(0x09, "Link Error"),
        Frequencies(0x0a, "Link Frequency Capability"),
        Features(0x0c, 2),
        new Register(0x10, 2, "Scratchpad") { { "Data", 15, 0, Fixed } },
        Errors(0x12),
        new Register(0x14, 1, "MemoryBaseUpper") { { "Base", 7, 0, Fixed } },
        new Register(0x15, 1, "MemoryLimitUpper") { { "Limit", 7, 0, Fixed } },
    ];

    private static readonly Register MessageMapping =
        new(0x02, 2, "Command") { { "Enable", 0, Fixed }, { "Fixed", 1, Fixed }, { "Type", 15, 11, Fixed } };

    private static readonly Register[] MessageAddress =
    [
        new Register(0x04, 4, "AddressLow") { { "Address", 31, 20, Fixed } },
        new Register(0x08, 4, "AddressHigh") { { "Address", 31, 0, Fixed } },
    ];

    private static CapabilityLayout Layout(CapabilityView view)
    {
        uint command = view.Read(2, 2);
        return HyperTransportText.KindOf(command) switch
        {
            HyperTransportKind.Primary => new(28, Primary),
            HyperTransportKind.Secondary => new(24, Secondary),
            HyperTransportKind.MessageMapping when command.Get(1) => new(4, [MessageMapping]),
            HyperTransportKind.MessageMapping => new(12, [MessageMapping, .. MessageAddress]),
            HyperTransportKind.Switch => Raw(24),
            HyperTransportKind.InterruptDiscovery => Raw(8),
            HyperTransportKind.UnitIdClumping or HyperTransportKind.ExtendedConfig => Raw(12),
            HyperTransportKind.DirectRoute or HyperTransportKind.RetryMode => Raw(12),
            HyperTransportKind.VirtualChannelSet => Raw(16),
            HyperTransportKind.AddressMapping => Raw(command.Get(10, 9) == 0 ? 12 + (8 * (int)command.Get(3, 0)) : 16),
            _ => Raw(4),
        };
    }

    private static CapabilityLayout Raw(int length) => new(length,
    [
        new Register(0x02, 2, "Command") { { "Data", 10, 0, Fixed }, { "Type", 15, 11, Fixed } },
        .. RawRegisters.Between(4, length, Fixed),
    ]);

    private static Register LinkControl(int offset, string name) => new(offset, 2, name)
    {
        { "CFlE", 1, Fixed },
        { "CST", 2, Fixed },
        { "CFE", 3, Fixed },
        { "<LkFail", 4, FixedStatus },
        { "Init", 5, Fixed },
        { "EOC", 6, Fixed },
        { "TXO", 7, Fixed },
        { "<CRCErr", 11, 8, FixedStatus, errors => $"{errors:x}" },
        { "IsocEn", 12, Fixed },
        { "LSEn", 13, Fixed },
        { "ExtCTL", 14, Fixed },
        { "64b", 15, Fixed },
    };

    private static Register LinkConfig(int offset, string name) => new(offset, 2, name)
    {
        { "MLWI", 2, 0, Fixed, HyperTransportText.Width },
        { "DwFcIn", 3, Fixed },
        { "MLWO", 6, 4, Fixed, HyperTransportText.Width },
        { "DwFcOut", 7, Fixed },
        { "LWI", 10, 8, Fixed, HyperTransportText.Width },
        { "DwFcInEn", 11, Fixed },
        { "LWO", 14, 12, Fixed, HyperTransportText.Width },
        { "DwFcOutEn", 15, Fixed },
    };

    private static Register Revision(int offset) =>
        new(offset, 1, "Revision ID") { { "Minor", 4, 0, Fixed, minor => $"{minor:d2}" }, { "Major", 7, 5, Fixed, FieldText.Decimal } };

    private static Register Frequency(int offset, string name) => new(offset, 1, name)
    {
        { "Freq", 3, 0, Fixed, HyperTransportText.Frequency },
        { "<Prot", 4, FixedStatus },
        { "<Ovfl", 5, FixedStatus },
        { "<EOC", 6, FixedStatus },
        { "CTLTm", 7, Fixed },
    };

    private static Register Frequencies(int offset, string name)
    {
        Register register = new(offset, 2, name);
        for (int bit = 0; bit < 10; bit++)
            register.Add(HyperTransportText.Frequency((uint)bit), bit, Fixed);
        register.Add("Vend", 15, Fixed);
        return register;
    }

    private static Register Features(int offset, int bytes)
    {
        Register register = new(offset, bytes, "Features")
        {
            { "IsocFC", 0, Fixed },
            { "LDTSTOP", 1, Fixed },
            { "CRCTM", 2, Fixed },
            { "ECTLT", 3, Fixed },
            { "64bA", 4, Fixed },
            { "UIDRD", 5, Fixed },
        };
        // The host's register has more fields.
        if (bytes == 2)
        {
            register.Add("ExtRS", 8, Fixed);
            register.Add("UCnfE", 9, Fixed);
        }

        return register;
    }

    private static Register Errors(int offset)
    {
        string[] names =
        [
            "PFlE", "OFlE", "PFE", "OFE", "EOCFE", "RFE", "CRCFE", "SERRFE",
            "CF", "RE", "PNFE", "ONFE", "EOCNFE", "RNFE", "CRCNFE", "SERRNFE",
        ];
        Register register = new(offset, 2, "Error Handling");
        for (int bit = 0; bit < names.Length; bit++)
            register.Add(names[bit], bit, bit is 8 or 9 ? FixedStatus : Fixed);
        return register;
    }
}
