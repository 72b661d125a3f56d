namespace Vfio.Pci.Dumps;

/// <summary>One function of a dump.</summary>
/// <param name="Address">Where it was.</param>
/// <param name="Heading">The rest of the line that its address starts; empty when there is none.</param>
/// <param name="Space">Its config space, as far as the dump shows it.</param>
internal sealed record DumpedFunction(PciAddress Address, string Heading, ConfigSpace Space);
