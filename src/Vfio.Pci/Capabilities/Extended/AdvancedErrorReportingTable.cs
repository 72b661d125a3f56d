using Vfio.Pci.Capabilities.Standard;
using Vfio.Pci.Config;
using Vfio.Pci.Decoding;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>Advanced Error Reporting: PCI Express Base 6.0, section 7.8.4.</summary>
/// <remarks>Status, masks and severity are the function's own, and a driver's to handle; the root registers are the machine's.</remarks>
internal static class AdvancedErrorReportingTable
{
    private const uint HasPrefixes = 1 << 21;

    private static readonly Register[] Function =
    [
        Uncorrectable(0x04, "UESta", WriteOneToClear),
        Uncorrectable(0x08, "UEMsk", PassedThrough),
        Uncorrectable(0x0c, "UESvrt", PassedThrough),
        Correctable(0x10, "CESta", WriteOneToClear),
        Correctable(0x14, "CEMsk", PassedThrough),
        new Register(0x18, 4, "AERCap")
        {
            { "First Error Pointer", 4, 0, Fixed, number => $"{number:x2}" },
            { "ECRCGenCap", 5, Fixed },
            { "ECRCGenEn", 6, PassedThrough },
            { "ECRCChkCap", 7, Fixed },
            { "ECRCChkEn", 8, PassedThrough },
            { "MultHdrRecCap", 9, Fixed },
            { "MultHdrRecEn", 10, Fixed },
            { "TLPPfxPres", 11, Fixed },
            { "HdrLogCap", 12, Fixed },
        },
        .. Log(0x1c, "HeaderLog"),
    ];

    private static readonly Register[] Root =
    [
        new Register(0x2c, 4, "RootCmd") { { "CERptEn", 0, Fixed }, { "NFERptEn", 1, Fixed }, { "FERptEn", 2, Fixed } },
        new Register(0x30, 4, "RootSta")
        {
            { "CERcvd", 0, FixedStatus },
            { "MultCERcvd", 1, FixedStatus },
            { "UERcvd", 2, FixedStatus },
            { "MultUERcvd", 3, FixedStatus },
            { "FirstFatal", 4, FixedStatus },
            { "NonFatalMsg", 5, FixedStatus },
            { "FatalMsg", 6, FixedStatus },
            { "IntMsg", 31, 27, Fixed, FieldText.Decimal },
        },
        new Register(0x34, 2, "ERR_COR") { { "Source", 15, 0, Fixed, id => $"{id:x4}" } },
        new Register(0x36, 2, "ERR_FATAL/NONFATAL") { { "Source", 15, 0, Fixed, id => $"{id:x4}" } },
    ];

    private static readonly Register[] Prefixes = [.. Log(0x38, "TLPPrefixLog")];

    internal static readonly CapabilityTable Table = new(0x01, true, "Advanced Error Reporting", Layout) { Describe = Describe };

    private static void Describe(CapabilityText text)
    {
        foreach (string register in (string[])["UESta", "UEMsk", "UESvrt"])
        {
            text.Line(register, $"{register}:\t{{DLP}} {{SDES}} {{TLP}} {{FCP}} {{CmpltTO}} {{CmpltAbrt}} {{UnxCmplt}} {{RxOF}} "
                + "{MalfTLP} {ECRC} {UnsupReq} {ACSViol}");
        }

        foreach (string register in (string[])["CESta", "CEMsk"])
            text.Line(register, $"{register}:\t{{RxErr}} {{BadTLP}} {{BadDLLP}} {{Rollover}} {{Timeout}} {{AdvNonFatalErr}}");
        text.Line("AERCap", "AERCap:\tFirst Error Pointer: {First Error Pointer}, {ECRCGenCap} {ECRCGenEn} {ECRCChkCap} {ECRCChkEn}");
        text.More("AERCap", "{MultHdrRecCap} {MultHdrRecEn} {TLPPfxPres} {HdrLogCap}");
        AddLog(text, "HeaderLog");
        text.Line("RootCmd", "RootCmd: {CERptEn} {NFERptEn} {FERptEn}");
        text.Line("RootSta", "RootSta: {CERcvd} {MultCERcvd} {UERcvd} {MultUERcvd}");
        text.More("RootSta", " {FirstFatal} {NonFatalMsg} {FatalMsg} IntMsg {IntMsg}");
        text.Line("ERR_FATAL/NONFATAL", "ErrorSrc: ERR_COR: {ERR_COR:Source} ERR_FATAL/NONFATAL: {Source}");
        if (text.Has("AERCap") && text.IsSet("AERCap", "TLPPfxPres"))
            AddLog(text, "TLPPrefixLog");
    }

    private static void AddLog(CapabilityText text, string name)
    {
        if (text.Has($"{name}3"))
            text.Add($"{name}: {string.Join(' ', Enumerable.Range(0, 4).Select(index => $"{text.Value($"{name}{index}"):x8}"))}");
    }

    private static CapabilityLayout Layout(CapabilityView view)
    {
        bool isRoot = view.PortType is PortType.RootPort or PortType.EventCollector;
        IEnumerable<Register> registers = isRoot ? [.. Function, .. Root] : Function;
        return LogsPrefixes(view.Space) ? new(0x48, [.. registers, .. Prefixes]) : new(isRoot ? 0x38 : 0x2c, [.. registers]);
    }

    private static bool LogsPrefixes(ConfigSpace space) =>
        CapabilityWalk.FindStandard(space, ExpressTable.Id) is { } express
        && space.Knows(express, 0x28)
        && (space.Read16(express + 2) & 0xf) >= 2
        && (space.Read32(express + 0x24) & HasPrefixes) != 0;

    private static IEnumerable<Register> Log(int offset, string name) =>
        Enumerable.Range(0, 4).Select(index => new Register(offset + (4 * index), 4, $"{name}{index}") { { "Log", 31, 0, Fixed } });

    private static Register Uncorrectable(int offset, string name, BitRule rule) => new(offset, 4, name)
    {
        { "DLP", 4, rule },
        { "SDES", 5, rule },
        { "TLP", 12, rule },
        { "FCP", 13, rule },
        { "CmpltTO", 14, rule },
        { "CmpltAbrt", 15, rule },
        { "UnxCmplt", 16, rule },
        { "RxOF", 17, rule },
        { "MalfTLP", 18, rule },
        { "ECRC", 19, rule },
        { "UnsupReq", 20, rule },
        { "ACSViol", 21, rule },
        { "UncorrIntErr", 22, rule },
        { "BlockedTLP", 23, rule },
        { "AtomicOpBlocked", 24, rule },
        { "TLPBlockedErr", 25, rule },
        { "PoisonTLPBlocked", 26, rule },
        { "DMWrReqBlocked", 27, rule },
        { "IDECheck", 28, rule },
        { "MisIDETLP", 29, rule },
        { "PCRC_CHECK", 30, rule },
        { "TLPXlatBlocked", 31, rule },
    };

    private static Register Correctable(int offset, string name, BitRule rule) => new(offset, 4, name)
    {
        { "RxErr", 0, rule },
        { "BadTLP", 6, rule },
        { "BadDLLP", 7, rule },
        { "Rollover", 8, rule },
        { "Timeout", 12, rule },
        { "AdvNonFatalErr", 13, rule },
        { "CorrIntErr", 14, rule },
        { "HeaderOF", 15, rule },
    };
}
