namespace Vfio.Pci.Decoding;

/// <summary>A capability decoded.</summary>
/// <param name="Capability">The capability.</param>
/// <param name="Title">Its kind, often with its first facts.</param>
/// <param name="Lines">Its registers in words, two tabs before each line.</param>
/// <param name="Registers">Its registers with their values.</param>
internal sealed record CapabilityDocument(
    Capability Capability,
    string Title,
    IReadOnlyList<string> Lines,
    IReadOnlyList<RegisterValue> Registers)
{
    /// <summary>Its offset, and its version if it has one: <c>[50]</c>, <c>[100 v2]</c>.</summary>
    public string Heading => Capability.Heading;
}
