using Vfio.Pci.Capabilities;

namespace Vfio.Pci.Rules;

/// <summary>One bit of config space: its rule, and the register that it belongs to.</summary>
/// <param name="Rule">What it is to the user.</param>
/// <param name="Structure">The header or the capability that it is in; null outside all of them.</param>
/// <param name="Register">The register; null for a byte that no register has.</param>
/// <param name="Field">The field; null for a bit that no field has.</param>
internal readonly record struct RuledBit(BitRule Rule, string? Structure, Register? Register, Field? Field);
