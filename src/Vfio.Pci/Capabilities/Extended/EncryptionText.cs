using Vfio.Pci.Config;
using Vfio.Pci.Decoding;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>Integrity and Data Encryption in words.</summary>
internal static class EncryptionText
{
    internal static void Describe(CapabilityText text)
    {
        if (!text.Has("IDECtl"))
        {
            text.Add("<unreadable>");
            return;
        }

        uint caps = text.Value("IDECap");
        text.Line("IDECap", $"IDECap: Lnk={EncryptionTable.LinkStreams(caps)} Sel={EncryptionTable.SelectiveStreams(caps)} {{FlowThru}} "
            + "{PartHdr} {Aggr} {PCPC} {IDE_KM} {SelCfg} Alg='{Alg}' TCs={TCs} {TeeLim} {XT}");
        text.Line("IDECtl", "IDECtl: {FTEn}");
        for (int index = 0; text.Has($"LinkIDE#{index} Sta"); index++)
        {
            string stream = $"LinkIDE#{index}";
            AddAt(text, $"{stream} Ctl", $"{stream} Ctl: {{En}} {{XT}} NPR{{NPR}} PR{{PR}} CPL{{CPL}} {{PCRC}} HdrEnc={{HdrEnc}} "
                + "Alg='{Alg}' TC{TC} ID{ID}");
            AddAt(text, $"{stream} Sta", $"{stream} Sta: Status={{Status}} {{RecvChkFail}}");
        }

        for (int index = 0; text.Has($"SelectiveIDE#{index} RID2"); index++)
            DescribeSelective(text, $"SelectiveIDE#{index}");
    }

    internal static string Algorithm(uint code) => code == 0 ? "AES-GCM-256-96b" : "reserved";

    internal static string Aggregation(uint code) => code == 0 ? "-" : $"={1 << (int)code}";

    internal static string HeaderEncryption(uint code) => code switch
    {
        0 => "no",
        <= 4 => $"{9 + (8 * code)}:2",
        _ => $"??{code}",
    };

    internal static string State(uint code) => code switch
    {
        0 => "insecure",
        1 => "reserved",
        2 => "secure",
        _ => $"??{code}",
    };

    private static void DescribeSelective(CapabilityText text, string stream)
    {
        AddAt(text, $"{stream} Cap", $"{stream} Cap: RID#={{RID#}}");
        AddAt(text, $"{stream} Ctl", $"{stream} Ctl: {{En}} {{XT}} NPR{{NPR}} PR{{PR}} CPL{{CPL}} {{PCRC}} {{CFG}} HdrEnc={{HdrEnc}} "
            + "Alg='{Alg}' TC{TC} {TeeLim} ID{ID}" + (text.IsSet($"{stream} Ctl", "Default") ? " Default" : ""));
        AddAt(text, $"{stream} Sta", $"{stream} Sta: {{Status}} {{RecvChkFail}}");
        AddAt(text, $"{stream} RID1", $"{stream} RID: {{{stream} RID2:Valid}} Base={{{stream} RID2:Base}} Limit={{Limit}} "
            + $"SegBase={{{stream} RID2:SegBase}}");
        for (int block = 0; text.Has($"{stream} Base{block}"); block++)
        {
            string address = $"{stream} Addr{block}";
            ulong limit = (ulong)text.Value($"{stream} Limit{block}") << 32 | text.Get(address, "LimitLow") << 20 | 0xfffff;
            ulong start = (ulong)text.Value($"{stream} Base{block}") << 32 | text.Get(address, "BaseLow") << 20;
            AddAt(text, address, $"{stream} RID#{block}: {{Valid}} Base={start:x} Limit={limit:x}");
        }
    }

    // Streams are many: their places help to find them.
    private static void AddAt(CapabilityText text, string register, string template) =>
        text.Line(register, $"[{text.OffsetOf(register):x}]{template}");
}
