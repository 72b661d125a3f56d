using Vfio.Pci.Config;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Extended;

/// <summary>FRS Queueing and Readiness Time Reporting: PCI Express Base 6.0, sections 7.8.10 and 7.9.16.</summary>
internal static class ReadinessTables
{
    private static readonly CapabilityLayout QueueLayout = new(0x10,
    [
        new Register(0x04, 4, "FRSCap") { { "QueueMaxDepth", 11, 0, Fixed, FieldText.Decimal }, { "IntMsg", 20, 16, Fixed, FieldText.Decimal } },
        new Register(0x08, 2, "FRSSta") { { "Received", 0, FixedStatus }, { "Overflow", 1, FixedStatus } },
        new Register(0x0a, 2, "FRSCtl") { { "IntEn", 0, Fixed } },
        new Register(0x0c, 4, "FRSQueue")
        {
            { "Function", 15, 0, Fixed, id => $"{id:x4}" },
            { "Reason", 19, 16, Fixed },
            { "Depth", 31, 20, Fixed, FieldText.Decimal },
        },
    ]);

    private static readonly CapabilityLayout TimeLayout = new(0x0c,
    [
        new Register(0x04, 4, "RTR1")
        {
            { "ResetTime", 11, 0, Fixed, Time },
            { "DL_UpTime", 23, 12, Fixed, Time },
            { "Valid", 31, Fixed },
        },
        new Register(0x08, 4, "RTR2") { { "FLRTime", 11, 0, Fixed, Time }, { "D3hotTime", 23, 12, Fixed, Time } },
    ]);

    internal static readonly CapabilityTable Queue = new(0x21, true, "FRS Queueing", _ => QueueLayout);

    internal static readonly CapabilityTable Times = new(0x22, true, "Readiness Time Reporting", _ => TimeLayout);

    // Nine bits of value, three of a scale whose steps are factors of 32.
    private static string Time(uint code) => $"{(ulong)code.Get(8, 0) << (5 * (int)code.Get(11, 9))}ns";
}
