using Vfio.Pci.Config;
using Vfio.Pci.Decoding;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>The DVSECs of Compute Express Link in words.</summary>
internal static class CxlText
{
    internal static void Describe(CapabilityText text)
    {
        uint id = text.Get("Header2", "ID");
        uint revision = text.Get("Header1", "Rev");
        switch (id)
        {
            // Revision 0 is of CXL 1.1, with other registers.
            case CxlRegisters.DeviceId when revision >= 1 && text.Has("Range2BaseLow"):
                DescribeDevice(text);
                break;
            case CxlRegisters.DeviceId:
                break;
            case CxlRegisters.FunctionMapId:
                for (int index = 0; text.Has($"FuncMap{index}"); index++)
                    text.Add($"FuncMap {index}: {text.Value($"FuncMap{index}").Get(15, 0):x8}");
                break;
            case CxlRegisters.PortId when text.Has("AltMemLimit") && text.Get("Header1", "Len") >= 0x28:
                DescribePort(text);
                break;
            case CxlRegisters.PortId:
                break;
            case CxlRegisters.PortFlushId:
                text.Line("Phase1", $"GPF Phase 1 Timeout: {FlushTime(text, "Phase1")}");
                text.Line("Phase2", $"GPF Phase 2 Timeout: {FlushTime(text, "Phase2")}");
                break;
            case CxlRegisters.DeviceFlushId:
                text.Line("Phase2", $"GPF Phase 2 Duration: {FlushTime(text, "Phase2")}");
                text.Line("Phase2Power", "GPF Phase 2 Power: {Power}");
                break;
            case CxlRegisters.FlexBusId when revision < 1:
                text.Add($"Revision {revision} not supported");
                break;
            case CxlRegisters.FlexBusId:
                DescribeFlexBus(text, revision);
                break;
            case CxlRegisters.LocatorId:
                DescribeLocators(text);
                break;
            case CxlRegisters.MultiLogicalId:
                if (text.Has("MLD") && text.Value("MLD") is >= 1 and <= 16)
                    text.Line("MLD", "NumLogDevs: {NumLogDevs}");
                break;
            default:
                text.Add($"Unknown ID {id:x4}");
                break;
        }
    }

    internal static string RangeType(uint code) => code switch
    {
        0 => "Volatile",
        1 => "Non-volatile",
        2 => "CDAT",
        _ => $"??{code}",
    };

    internal static string RangeClass(uint code) => code switch
    {
        0 => "DRAM",
        1 => "Storage",
        2 => "CDAT",
        _ => $"??{code}",
    };

    internal static string Interleave(uint code) => code switch
    {
        0 => "0",
        1 => "256",
        2 => "4096",
        <= 5 => $"{512 << (int)(code - 3)}",
        <= 7 => $"{8192 << (int)(code - 6)}",
        _ => $"??{code}",
    };

    internal static string BlockName(uint id) => id switch
    {
        0 => "empty",
        1 => "component registers",
        2 => "BAR virtualization",
        3 => "CXL device registers",
        4 => "CPMU registers",
        0xff => "vendor-specific",
        _ => "<?>",
    };

    private static void DescribeDevice(CapabilityText text)
    {
        text.Line("CXLCap", "CXLCap:\t{Cache} {IO} {Mem} {Mem HW Init} HDMCount {HDMCount} {Viral}");
        text.Line("CXLCtl", "CXLCtl:\t{Cache} {IO} {Mem} Cache SF Cov {Cache SF Cov} Cache SF Gran {Cache SF Gran} {Cache Clean} {Viral}");
        text.Line("CXLSta", "CXLSta:\t{Viral}");
        text.Line("CXLSta2", "CXLSta2:\t{ResetComplete} {ResetError} {PMComplete}");
        uint size = text.Get("CXLCap2", "Size");
        text.Add(text.Get("CXLCap2", "Unit") switch
        {
            0 => "Cache Size Not Reported",
            1 => $"Cache Size: {size << 16:x8}",
            2 => $"Cache Size: {size << 20:x8}",
            uint unit => $"Cache Size: {size} of unknown unit size ({unit})",
        });
        DescribeRange(text, 1);
        DescribeRange(text, 2);
    }

    private static void DescribeRange(CapabilityText text, int number)
    {
        string low = $"Range{number}SizeLow";
        ulong size = (ulong)text.Value($"Range{number}SizeHigh") << 32 | (text.Value(low) & 0xf000_0000);
        ulong start = (ulong)text.Value($"Range{number}BaseHigh") << 32 | text.Value($"Range{number}BaseLow");
        text.Add($"Range{number}: {start:x16}-{unchecked(start + size - 1):x16}");
        text.More(low, "{Valid} {Active} Type={Type} Class={Class} interleave={Interleave} timeout={Timeout}");
    }

    private static void DescribePort(CapabilityText text)
    {
        text.Line("CXLPortSta", "CXLPortSta:\t{PMComplete}");
        text.Line("CXLPortCtl", "CXLPortCtl:\t{UnmaskSBR} {UnmaskLinkDisable} {AltMem} {AltBME} {ViralEnable}");
        text.Line("AltBusLimit", "AlternateBus:\t{AltBusBase:Bus}-{Bus}");
        text.Line("AltMemLimit", "AlternateBus:\t{AltMemBase:Base}-{Limit}");
    }

    private static void DescribeFlexBus(CapabilityText text, uint revision)
    {
        string later = revision > 1 ? " {256BFlit} {PBRFlit}" : "";
        text.Line("FBCap", "FBCap:\t{Cache} {IO} {Mem} {68BFlit} {MltLogDev}" + later);
        text.Line("FBCtl", "FBCtl:\t{Cache} {IO} {Mem} {SynHdrByp} {DrftBuf} {68BFlit} {MltLogDev} {RCD} {Retimer1} {Retimer2}" + later);
        text.Line("FBSta", "FBSta:\t{Cache} {IO} {Mem} {SynHdrByp} {DrftBuf} {68BFlit} {MltLogDev}" + later);
        text.Line("FBModTS", "FBModTS:\tReceived FB Data: {Data}");
        if (revision <= 1)
            return;
        text.Line("FBCap2", "FBCap2:\t{NOPHint}");
        text.Line("FBCtl2", "FBCtl2:\t{NOPHint}");
        text.Line("FBSta2", "FBSta2:\tNOPHintInfo: {NOPHintInfo}");
    }

    private static void DescribeLocators(CapabilityText text)
    {
        for (int index = 1; text.Has($"Block{index}High"); index++)
        {
            string block = $"Block{index}";
            if (text.Get(block, "ID") == 0)
                continue;
            text.Line(block, $"{block}: BIR: bar{{BIR}}, ID: {{ID}}, offset: "
                + $"{text.Value($"{block}High"):x8}{text.Get(block, "OffsetLow"):x4}0000");
        }
    }

    private static string FlushTime(CapabilityText text, string register)
    {
        if (!text.Has(register))
            return "";
        uint scale = text.Get(register, "Scale");
        uint value = text.Get(register, "Base");
        // 1, 10, 100 of each unit.
        uint factor = (scale % 3) switch
        {
            0 => 1,
            1 => 10,
            _ => 100,
        };
        return scale switch
        {
            < 3 => $"{value * factor}us",
            < 6 => $"{value * factor}ms",
            < 8 => $"{value * factor}s",
            _ => $"{value} of unknown scale ({scale})",
        };
    }
}
