using Vfio.Pci.Config;

namespace Vfio.Pci.Capabilities;

/// <summary>A range of bits of a register, with its name, its rule and how it reads in words.</summary>
/// <param name="Name">The specification's name, as <c>lspci</c> abbreviates it.</param>
/// <param name="High">Highest bit of the register.</param>
/// <param name="Low">Lowest bit.</param>
/// <param name="Rule">What it is to the user.</param>
internal sealed record Field(string Name, int High, int Low, BitRule Rule)
{
    /// <summary>How the value reads; null for hex, or for <c>+</c> and <c>-</c> when it is one bit.</summary>
    public Func<uint, string>? Format { get; init; }

    /// <summary>The register bits that the field covers.</summary>
    public uint Mask => Bits.Mask(High, Low);
}
