using Vfio.Pci.Decoding;
using static Vfio.Pci.Capabilities.BitRule;

namespace Vfio.Pci.Capabilities.Standard;

/// <summary>Message Signalled Interrupts: PCI Express Base 6.0, section 7.7.1. 10, 14, 20 or 24 bytes.</summary>
/// <remarks>All of it is virtual: vectors are requested by an interrupt request, and the owner alone programs the hardware where they
/// go.</remarks>
internal static class MsiTable
{
    private const uint Is64Bit = 0x80;
    private const uint HasMask = 0x100;

    internal static readonly CapabilityTable Table = new(0x05, false, "MSI", Layout) { Describe = Describe };

    private static void Describe(CapabilityText text)
    {
        text.SetTitle("Flags", "MSI: {Enable} Count={Count}/{Capable} {Maskable} {64bit}");
        if (!text.Has("Data"))
            return;
        string high = text.Has("AddressHigh") ? $"{text.Value("AddressHigh"):x8}" : "";
        text.Add($"Address: {high}{text.Value("Address"):x8}  Data: {text.Value("Data"):x4}");
        if (text.Has("Pending"))
            text.Add($"Masking: {text.Value("Masking"):x8}  Pending: {text.Value("Pending"):x8}");
    }

    private static CapabilityLayout Layout(CapabilityView view)
    {
        uint flags = view.Read(2, 2);
        int data = (flags & Is64Bit) != 0 ? 0x0c : 0x08;
        List<Register> registers = [Flags(), new(0x04, 4, "Address") { { "Address", 31, 0, Virtual } }];
        if ((flags & Is64Bit) != 0)
            registers.Add(new(0x08, 4, "AddressHigh") { { "Address", 31, 0, Virtual } });
        registers.Add(new(data, 2, "Data") { { "Data", 15, 0, Virtual } });
        if ((flags & HasMask) == 0)
            return new(data + 2, registers);
        registers.Add(new(data + 2, 2, "ExtendedData") { { "Data", 15, 0, Virtual } });
        registers.Add(new(data + 4, 4, "Masking") { { "Masking", 31, 0, Virtual } });
        registers.Add(new(data + 8, 4, "Pending") { { "Pending", 31, 0, VirtualFixed } });
        return new(data + 12, registers);
    }

    private static Register Flags() => new(0x02, 2, "Flags")
    {
        { "Enable", 0, Virtual },
        // May show fewer vectors than the function has, when the owner got fewer.
        { "Capable", 3, 1, VirtualFixed, code => $"{1 << (int)code}" },
        { "Count", 6, 4, Virtual, code => $"{1 << (int)code}" },
        { "64bit", 7, Fixed },
        { "Maskable", 8, Fixed },
        { "ExtDataCap", 9, Fixed },
        { "ExtDataEn", 10, Virtual },
    };
}
