using Vfio.Pci.Config;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>Integrity and Data Encryption: PCI Express Base 6.0, section 7.9.26. Link streams, then selective streams with as many address
/// blocks as each says.</summary>
/// <remarks>All fixed: streams and their keys belong to the machine.</remarks>
internal static class EncryptionTable
{
    internal static readonly CapabilityTable Table =
        new(0x30, true, "Integrity & Data Encryption", Layout) { Describe = EncryptionText.Describe };

    private static readonly Register[] Start =
    [
        new Register(0x04, 4, "IDECap")
        {
            { "Lnk", 0, Fixed },
            { "Sel", 1, Fixed },
            { "FlowThru", 2, Fixed },
            { "PartHdr", 3, Fixed },
            { "Aggr", 4, Fixed },
            { "PCPC", 5, Fixed },
            { "IDE_KM", 6, Fixed },
            { "SelCfg", 7, Fixed },
            { "Alg", 12, 8, Fixed, EncryptionText.Algorithm },
            { "TCs", 15, 13, Fixed, code => $"{code + 1}" },
            { "SelStreams", 23, 16, Fixed, code => $"{code + 1}" },
            { "TeeLim", 24, Fixed },
            { "XT", 25, Fixed },
        },
        new Register(0x08, 4, "IDECtl") { { "FTEn", 2, Fixed } },
    ];

    private static CapabilityLayout Layout(CapabilityView view)
    {
        uint caps = view.Read(4, 4);
        int room = ConfigSpace.ExtendedLength - view.Offset;
        List<Register> registers = [.. Start];
        int offset = 0x0c;
        for (int index = 0; index < LinkStreams(caps); index++)
        {
            registers.Add(Control(offset, $"LinkIDE#{index} Ctl"));
            registers.Add(Status(offset + 4, $"LinkIDE#{index} Sta"));
            offset += 8;
        }

        for (int index = 0; index < SelectiveStreams(caps) && offset < room; index++)
        {
            int blocks = (int)view.Read(offset, 4).Get(3, 0);
            registers.AddRange(Selective(index, offset, blocks));
            offset += 20 + (12 * blocks);
        }

        return new(offset, registers);
    }

    internal static int LinkStreams(uint caps) => caps.Get(0) ? (int)caps.Get(15, 13) + 1 : 0;

    internal static int SelectiveStreams(uint caps) => caps.Get(1) ? (int)caps.Get(23, 16) + 1 : 0;

    private static IEnumerable<Register> Selective(int index, int offset, int blocks)
    {
        string stream = $"SelectiveIDE#{index}";
        yield return new(offset, 4, $"{stream} Cap") { { "RID#", 3, 0, Fixed, FieldText.Decimal } };
        yield return Control(offset + 4, $"{stream} Ctl");
        yield return Status(offset + 8, $"{stream} Sta");
        yield return new(offset + 12, 4, $"{stream} RID1") { { "Limit", 23, 8, Fixed, limit => $"{limit:x}" } };
        yield return new(offset + 16, 4, $"{stream} RID2")
        {
            { "Valid", 0, Fixed },
            { "Base", 23, 8, Fixed, start => $"{start:x}" },
            { "SegBase", 31, 24, Fixed, segment => $"{segment:x}" },
        };
        for (int block = 0; block < blocks; block++)
        {
            int at = offset + 20 + (12 * block);
            yield return new(at, 4, $"{stream} Addr{block}")
            {
                { "Valid", 0, Fixed },
                { "BaseLow", 19, 8, Fixed },
                { "LimitLow", 31, 20, Fixed },
            };
            yield return new(at + 4, 4, $"{stream} Limit{block}") { { "LimitHigh", 31, 0, Fixed } };
            yield return new(at + 8, 4, $"{stream} Base{block}") { { "BaseHigh", 31, 0, Fixed } };
        }
    }

    // Link streams leave CFG, Default and TeeLim reserved.
    private static Register Control(int offset, string name) => new(offset, 4, name)
    {
        { "En", 0, Fixed },
        { "XT", 1, Fixed },
        { "NPR", 3, 2, Fixed, EncryptionText.Aggregation },
        { "PR", 5, 4, Fixed, EncryptionText.Aggregation },
        { "CPL", 7, 6, Fixed, EncryptionText.Aggregation },
        { "PCRC", 8, Fixed },
        { "CFG", 9, Fixed },
        { "HdrEnc", 13, 10, Fixed, EncryptionText.HeaderEncryption },
        { "Alg", 18, 14, Fixed, EncryptionText.Algorithm },
        { "TC", 21, 19, Fixed, FieldText.Decimal },
        { "Default", 22, Fixed },
        { "TeeLim", 23, Fixed },
        { "ID", 31, 24, Fixed, FieldText.Decimal },
    };

    private static Register Status(int offset, string name) => new(offset, 4, name)
    {
        { "Status", 3, 0, Fixed, EncryptionText.State },
        { "RecvChkFail", 31, FixedStatus },
    };
}
