using Vfio.Pci.Config;
using Vfio.Pci.Decoding;

namespace Vfio.Pci.Capabilities.Standard;

/// <summary>HyperTransport capabilities in words.</summary>
internal static class HyperTransportText
{
    // Registers from the revision's successors on exist since this revision of the specification.
    private const uint Revision102 = 0x22;

    internal static HyperTransportKind KindOf(uint command) => command.Get(15, 13) switch
    {
        0 => HyperTransportKind.Primary,
        1 => HyperTransportKind.Secondary,
        _ => command.Get(15, 11) switch
        {
            0x08 => HyperTransportKind.Switch,
            0x10 => HyperTransportKind.InterruptDiscovery,
            0x11 => HyperTransportKind.RevisionId,
            0x12 => HyperTransportKind.UnitIdClumping,
            0x13 => HyperTransportKind.ExtendedConfig,
            0x14 => HyperTransportKind.AddressMapping,
            0x15 => HyperTransportKind.MessageMapping,
            0x16 => HyperTransportKind.DirectRoute,
            0x17 => HyperTransportKind.VirtualChannelSet,
            0x18 => HyperTransportKind.RetryMode,
            0x19 => HyperTransportKind.X86,
            _ => HyperTransportKind.Unknown,
        },
    };

    internal static string Width(uint code) => code switch
    {
        0 => "8bit",
        1 => "16bit",
        3 => "32bit",
        4 => "2bit",
        5 => "4bit",
        7 => "N/C",
        _ => $"[{code}]",
    };

    internal static string Frequency(uint code) => code switch
    {
        < 5 => $"{200 + (100 * code)}MHz",
        5 => "800MHz",
        <= 9 => $"1.{2 * (code - 6)}GHz",
        15 => "Vend",
        _ => $"[{code:x}]",
    };

    internal static void Describe(CapabilityText text)
    {
        if (!text.Has("Command"))
            return;
        uint command = text.Value("Command");
        text.Title = $"HyperTransport: {Name(command)}";
        switch (KindOf(command))
        {
            case HyperTransportKind.Primary when text.Has("Bus"):
                DescribePrimary(text);
                break;
            case HyperTransportKind.Secondary when text.Has("MemoryLimitUpper"):
                DescribeSecondary(text);
                break;
            case HyperTransportKind.MessageMapping when text.Has("AddressHigh"):
                text.Add($"Mapping Address Base: {text.Value("AddressHigh"):x8}{text.Value("AddressLow") & ~0xfffffu:x8}");
                break;
        }
    }

    private static string Name(uint command) => KindOf(command) switch
    {
        HyperTransportKind.Primary => "Slave or Primary Interface",
        HyperTransportKind.Secondary => "Host or Secondary Interface",
        HyperTransportKind.Switch => "Switch",
        HyperTransportKind.InterruptDiscovery => "Interrupt Discovery and Configuration",
        HyperTransportKind.RevisionId => $"Revision ID: {command.Get(7, 5)}.{command.Get(4, 0):d2}",
        HyperTransportKind.UnitIdClumping => "UnitID Clumping",
        HyperTransportKind.ExtendedConfig => "Extended Configuration Space Access",
        HyperTransportKind.AddressMapping => "Address Mapping",
        HyperTransportKind.MessageMapping => $"MSI Mapping Enable{FieldText.Sign(command.Get(0))} Fixed{FieldText.Sign(command.Get(1))}",
        HyperTransportKind.DirectRoute => "DirectRoute",
        HyperTransportKind.VirtualChannelSet => "VCSet",
        HyperTransportKind.RetryMode => "Retry Mode",
        HyperTransportKind.X86 => "X86 (reserved)",
        _ => $"#{command.Get(15, 11):x2}",
    };

    private static void DescribePrimary(CapabilityText text)
    {
        uint revision = text.Value("Revision ID");
        bool isFull = revision >= Revision102;
        Doubt(text, revision);
        text.Line("Command", "Command: BaseUnitID={BaseUnitID} UnitCnt={UnitCnt} {MastHost} {DefDir}" + (isFull ? " {DUL}" : ""));
        DescribeLink(text, " 0", isFull);
        DescribeLink(text, " 1", isFull);
        text.Line("Revision ID", "Revision ID: {Major}.{Minor}");
        if (!isFull)
            return;
        DescribeFrequency(text, " 0");
        text.Line("Features", "Feature Capability: {IsocFC} {LDTSTOP} {CRCTM} {ECTLT} {64bA} {UIDRD}");
        DescribeFrequency(text, " 1");
        DescribeErrors(text);
        text.Add($"Bus Number: {text.Value("Bus"):x2}");
    }

    private static void DescribeSecondary(CapabilityText text)
    {
        uint revision = text.Value("Revision ID");
        bool isFull = revision >= Revision102;
        Doubt(text, revision);
        text.Line("Command", "Command: {WarmRst} {DblEnd}"
            + (isFull ? " DevNum={DevNum} {ChainSide} {HostHide} {Slave} {<EOCErr} {DUL}" : ""));
        DescribeLink(text, "", isFull);
        text.Line("Revision ID", "Revision ID: {Major}.{Minor}");
        if (!isFull)
            return;
        DescribeFrequency(text, "");
        text.Line("Features", "Feature Capability: {IsocFC} {LDTSTOP} {CRCTM} {ECTLT} {64bA} {UIDRD} {ExtRS} {UCnfE}");
        if (text.IsSet("Features", "ExtRS"))
            DescribeErrors(text);
    }

    private static void Doubt(CapabilityText text, uint revision)
    {
        if (revision is > 0x11 and < Revision102)
            text.Add("!!! Possibly incomplete decoding");
    }

    private static void DescribeLink(CapabilityText text, string number, bool isFull)
    {
        text.Line($"Link Control{number}",
            $"Link Control{number}: {{CFlE}} {{CST}} {{CFE}} {{<LkFail}} {{Init}} {{EOC}} {{TXO}} <CRCErr={{<CRCErr}}"
            + (isFull ? " {IsocEn} {LSEn} {ExtCTL} {64b}" : ""));
        text.Line($"Link Config{number}", $"Link Config{number}: " + (isFull
            ? "MLWI={MLWI} {DwFcIn} MLWO={MLWO} {DwFcOut} LWI={LWI} {DwFcInEn} LWO={LWO} {DwFcOutEn}"
            : "MLWI={MLWI} MLWO={MLWO} LWI={LWI} LWO={LWO}"));
    }

    private static void DescribeFrequency(CapabilityText text, string number)
    {
        text.Line($"Link Error{number}", $"Link Frequency{number}: {{Freq}}");
        text.Line($"Link Error{number}", $"Link Error{number}: {{<Prot}} {{<Ovfl}} {{<EOC}} {{CTLTm}}");
        text.Line($"Link Frequency Capability{number}", $"Link Frequency Capability{number}: "
            + string.Join(' ', Enumerable.Range(0, 10).Select(bit => $"{{{Frequency((uint)bit)}}}")) + " {Vend}");
    }

    private static void DescribeErrors(CapabilityText text)
    {
        text.Line("Error Handling", "Error Handling: {PFlE} {OFlE} {PFE} {OFE} {EOCFE} {RFE} {CRCFE} {SERRFE} {CF} {RE} {PNFE} {ONFE} "
            + "{EOCNFE} {RNFE} {CRCNFE} {SERRNFE}");
        text.Add($"Prefetchable memory behind bridge Upper: {text.Value("MemoryBaseUpper"):x2}-{text.Value("MemoryLimitUpper"):x2}");
    }
}
