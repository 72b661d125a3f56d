using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>Registers of the DVSECs of Compute Express Link: CXL 3.0, section 8.1. All fixed.</summary>
internal static class CxlRegisters
{
    internal const uint DeviceId = 0;
    internal const uint FunctionMapId = 2;
    internal const uint PortId = 3;
    internal const uint PortFlushId = 4;
    internal const uint DeviceFlushId = 5;
    internal const uint FlexBusId = 7;
    internal const uint LocatorId = 8;
    internal const uint MultiLogicalId = 9;

    private static readonly Register[] Device =
    [
        new Register(0x0a, 2, "CXLCap")
        {
            { "Cache", 0, Fixed },
            { "IO", 1, Fixed },
            { "Mem", 2, Fixed },
            { "Mem HW Init", 3, Fixed },
            { "HDMCount", 5, 4, Fixed, FieldText.Decimal },
            { "Viral", 14, Fixed },
        },
        new Register(0x0c, 2, "CXLCtl")
        {
            { "Cache", 0, Fixed },
            { "IO", 1, Fixed },
            { "Mem", 2, Fixed },
            { "Cache SF Cov", 7, 3, Fixed, FieldText.Decimal },
            { "Cache SF Gran", 10, 8, Fixed, FieldText.Decimal },
            { "Cache Clean", 11, Fixed },
            { "Viral", 14, Fixed },
        },
        new Register(0x0e, 2, "CXLSta") { { "Viral", 14, FixedStatus } },
        new Register(0x10, 2, "CXLCtl2") { { "Value", 15, 0, Fixed } },
        new Register(0x12, 2, "CXLSta2")
        {
            { "CacheInvalid", 0, Fixed },
            { "ResetComplete", 1, Fixed },
            { "ResetError", 2, Fixed },
            { "PMComplete", 15, Fixed },
        },
        new Register(0x14, 2, "CXLLock") { { "Lock", 0, FixedStatus } },
        new Register(0x16, 2, "CXLCap2") { { "Unit", 3, 0, Fixed }, { "Size", 15, 8, Fixed, FieldText.Decimal } },
        .. Range(1, 0x18),
        .. Range(2, 0x28),
    ];

    private static readonly Register[] Port =
    [
        new Register(0x0a, 2, "CXLPortSta") { { "PMComplete", 0, Fixed } },
        new Register(0x0c, 2, "CXLPortCtl")
        {
            { "UnmaskSBR", 0, Fixed },
            { "UnmaskLinkDisable", 1, Fixed },
            { "AltMem", 2, Fixed },
            { "AltBME", 3, Fixed },
            { "ViralEnable", 14, Fixed },
        },
        new Register(0x0e, 1, "AltBusBase") { { "Bus", 7, 0, Fixed, bus => $"{bus:x2}" } },
        new Register(0x0f, 1, "AltBusLimit") { { "Bus", 7, 0, Fixed, bus => $"{bus:x2}" } },
        new Register(0x10, 2, "AltMemBase") { { "Base", 15, 0, Fixed, start => $"{start:x4}" } },
        new Register(0x12, 2, "AltMemLimit") { { "Limit", 15, 0, Fixed, end => $"{end:x4}" } },
    ];

    private static readonly Register[] FlexBus =
    [
        FlexBusFlags(0x0a, "FBCap", isControl: false, ("68BFlit", 5), ("MltLogDev", 6)),
        FlexBusFlags(0x0c, "FBCtl", isControl: true, ("RCD", 7), ("Retimer1", 8), ("Retimer2", 9)),
        FlexBusFlags(0x0e, "FBSta", isControl: true),
        new Register(0x10, 4, "FBModTS") { { "Data", 23, 0, Fixed, data => $"{data:x6}" } },
        new Register(0x14, 4, "FBCap2") { { "NOPHint", 0, Fixed } },
        new Register(0x18, 4, "FBCtl2") { { "NOPHint", 0, Fixed } },
        new Register(0x1c, 4, "FBSta2") { { "NOPHintInfo", 1, 0, Fixed, info => $"{info:x}" } },
    ];

    /// <summary>The registers of a DVSEC after its headers; those beyond its length are left out.</summary>
    internal static IEnumerable<Register> Of(uint id, int length)
    {
        IEnumerable<Register> registers = id switch
        {
            DeviceId => Device,
            FunctionMapId => Enumerable.Range(0, 8)
                .Select(index => new Register(0x0c + (4 * index), 4, $"FuncMap{index}") { { "Functions", 31, 0, Fixed } }),
            PortId => Port,
            PortFlushId => [FlushTime(0x0c, "Phase1"), FlushTime(0x0e, "Phase2")],
            DeviceFlushId =>
            [
                FlushTime(0x0a, "Phase2"),
                new Register(0x0c, 4, "Phase2Power") { { "Power", 31, 0, Fixed, power => $"{power}mW" } },
            ],
            FlexBusId => FlexBus,
            LocatorId => Enumerable.Range(0, Math.Max(0, (length - 0x0c) / 8)).SelectMany(Block),
            MultiLogicalId => [new Register(0x0a, 2, "MLD") { { "NumLogDevs", 15, 0, Fixed, FieldText.Decimal } }],
            _ => RawRegisters.Between(0x0c, length, Fixed),
        };
        return registers.Where(register => register.Offset + register.Bytes <= length);
    }

    private static Register[] Range(int number, int offset) =>
    [
        new Register(offset, 4, $"Range{number}SizeHigh") { { "Size", 31, 0, Fixed } },
        new Register(offset + 4, 4, $"Range{number}SizeLow")
        {
            { "Valid", 0, Fixed },
            { "Active", 1, Fixed },
            { "Type", 4, 2, Fixed, CxlText.RangeType },
            { "Class", 7, 5, Fixed, CxlText.RangeClass },
            { "Interleave", 12, 8, Fixed, CxlText.Interleave },
            { "Timeout", 15, 13, Fixed, code => $"{1 << (2 * (int)code)}s" },
            { "Size", 31, 28, Fixed },
        },
        new Register(offset + 8, 4, $"Range{number}BaseHigh") { { "Base", 31, 0, Fixed } },
        new Register(offset + 12, 4, $"Range{number}BaseLow") { { "Base", 31, 28, Fixed } },
    ];

    private static Register FlexBusFlags(int offset, string name, bool isControl, params (string Name, int Bit)[] more)
    {
        Register register = new(offset, 2, name) { { "Cache", 0, Fixed }, { "IO", 1, Fixed }, { "Mem", 2, Fixed } };
        if (isControl)
        {
            register.Add("SynHdrByp", 3, Fixed);
            register.Add("DrftBuf", 4, Fixed);
            register.Add("68BFlit", 5, Fixed);
            register.Add("MltLogDev", 6, Fixed);
        }

        foreach ((string flag, int bit) in more)
            register.Add(flag, bit, Fixed);
        register.Add("256BFlit", 13, Fixed);
        register.Add("PBRFlit", 14, Fixed);
        return register;
    }

    private static Register FlushTime(int offset, string name) =>
        new(offset, 2, name) { { "Base", 3, 0, Fixed, FieldText.Decimal }, { "Scale", 11, 8, Fixed } };

    private static Register[] Block(int index) =>
    [
        new Register(0x0c + (8 * index), 4, $"Block{index + 1}")
        {
            { "BIR", 2, 0, Fixed, FieldText.Decimal },
            { "ID", 15, 8, Fixed, CxlText.BlockName },
            { "OffsetLow", 31, 16, Fixed },
        },
        new Register(0x10 + (8 * index), 4, $"Block{index + 1}High") { { "Offset", 31, 0, Fixed } },
    ];
}
