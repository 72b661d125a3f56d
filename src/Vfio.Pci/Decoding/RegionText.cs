using Vfio.Pci.Capabilities;
using Vfio.Pci.Config;

namespace Vfio.Pci.Decoding;

/// <summary>BARs and expansion ROMs in words.</summary>
internal static class RegionText
{
    private const int FirstBar = 0x10;
    private const int RomRegion = 6;
    private const uint IsIo = 1;
    private const uint RomEnable = 1;

    /// <summary>A line for each BAR that is there.</summary>
    /// <param name="space">The config space.</param>
    /// <param name="facts">What the kernel knows of the regions.</param>
    /// <param name="count">How many BARs the header has.</param>
    internal static IEnumerable<string> Bars(ConfigSpace space, FunctionFacts facts, int count)
    {
        for (int index = 0; index < count; index++)
        {
            uint register = Bar(space, index);
            RegionFact? fact = index < facts.Regions.Count ? facts.Regions[index] : null;
            bool is64 = (register & (IsIo | 6)) == 4;
            if (register != 0 || fact is not null)
                yield return $"\tRegion {index}: {Describe(space, index, register, fact, is64 && index == count - 1)}";
            // The next register is the upper half of this address.
            if (is64)
                index++;
        }
    }

    /// <summary>A line for the expansion ROM, if it is there.</summary>
    internal static IEnumerable<string> Rom(ConfigSpace space, FunctionFacts facts, int offset)
    {
        uint register = space.Knows(offset, 4) ? space.Read32(offset) : 0;
        register = register == uint.MaxValue ? 0 : register;
        RegionFact? fact = RomRegion < facts.Regions.Count ? facts.Regions[RomRegion] : null;
        if (register == 0 && fact is null)
            yield break;
        uint address = register & ~0x7ffu;
        ulong shown = fact?.Address ?? address;
        bool isVirtual = shown != 0 && address == 0 && fact is { IsEnhanced: false };
        bool isOff = isVirtual ? (fact!.Flags & RomEnable) == 0 : (register & RomEnable) == 0;
        string place = shown != 0 ? $"{shown:x8}" : address != 0 ? "<ignored>" : "<unassigned>";
        yield return $"\tExpansion ROM at {place}"
            + (isVirtual ? " [virtual]" : "")
            + (isOff ? " [disabled]" : !isVirtual && !Decodes(space, 1) ? " [disabled by cmd]" : "")
            + (fact is { IsEnhanced: true } ? " [enhanced]" : "")
            + Size(fact?.SizeBytes ?? 0);
    }

    /// <summary>A size in the largest unit that leaves a whole number; empty for 0.</summary>
    internal static string Size(ulong bytes)
    {
        if (bytes == 0)
            return "";
        int unit = Math.Min(System.Numerics.BitOperations.TrailingZeroCount(bytes) / 10, 4);
        return $" [size={bytes >> (10 * unit)}{"KMGT".Substring(Math.Max(unit - 1, 0), Math.Min(unit, 1))}]";
    }

    private static string Describe(ConfigSpace space, int index, uint register, RegionFact? fact, bool isCut)
    {
        bool isIo = fact?.IsIo ?? (register & IsIo) != 0;
        ulong address = fact is null && isCut ? 0 : fact?.Address ?? Address(space, index, register);
        bool isVirtual = fact is { IsEnhanced: false } && address != 0 && register == 0;
        string place = isCut ? "<broken-64-bit-slot>"
            : isIo ? (address != 0 || Decodes(space, 0) ? $"{address:x4}" : Nowhere(register))
            : address != 0 ? $"{address:x8}"
            : Nowhere(register);
        string kind = isIo ? "" : $" ({Width(register, fact)}, {(IsPrefetchable(register, fact) ? "" : "non-")}prefetchable)";
        return $"{(isIo ? "I/O ports" : "Memory")} at {place}{kind}"
            + (isVirtual ? " [virtual]" : Decodes(space, isIo ? 0 : 1) ? "" : " [disabled]")
            + (fact is { IsEnhanced: true } ? " [enhanced]" : "")
            + Size(fact?.SizeBytes ?? 0);
    }

    // Bits of the register that the kernel did not take as an address.
    private static string Nowhere(uint register) => (register & ~0xfu) != 0 ? "<ignored>" : "<unassigned>";

    private static ulong Address(ConfigSpace space, int index, uint register) =>
        (register & IsIo) != 0 ? register & ~3u
        : (register & 6) == 4 ? (ulong)Bar(space, index + 1) << 32 | (register & ~0xfu)
        : register & ~0xfu;

    private static string Width(uint register, RegionFact? fact) => (fact, register & 6) switch
    {
        ({ Is64Bit: true }, _) => "64-bit",
        ({ }, _) => "32-bit",
        (null, 0) => "32-bit",
        (null, 2) => "low-1M",
        (null, 4) => "64-bit",
        _ => "type 3",
    };

    private static bool IsPrefetchable(uint register, RegionFact? fact) => fact?.IsPrefetchable ?? (register & 8) != 0;

    private static bool Decodes(ConfigSpace space, int commandBit) => ((uint)space.Read16(4)).Get(commandBit);

    // All ones is what an absent register reads as.
    private static uint Bar(ConfigSpace space, int index) =>
        space.Read32(FirstBar + (4 * index)) is var value and not uint.MaxValue ? value : 0;
}
