using Vfio.Pci.Capabilities;

namespace Vfio.Pci;

/// <summary>One capability found in a config space.</summary>
/// <param name="Offset">Where it starts, in bytes.</param>
/// <param name="Id">Its id.</param>
/// <param name="Version">Its version; 0 for a standard capability, which has none in its header.</param>
/// <param name="IsExtended">Whether it is in the extended list, from 0x100 on.</param>
/// <param name="LengthBytes">Its size with its header. For an unknown kind, what lies between it and the next structure.</param>
/// <param name="Registers">Its registers with its header's, offsets from <paramref name="Offset"/>, ascending; those beyond the known bytes
/// are left out.</param>
public sealed record Capability(
    int Offset,
    ushort Id,
    int Version,
    bool IsExtended,
    int LengthBytes,
    IReadOnlyList<Register> Registers)
{
    /// <summary>What is known about its kind; null for an id that no specification has assigned.</summary>
    internal CapabilityTable? Table { get; init; }

    /// <summary>The name of its kind, or its id in hex.</summary>
    public string Name => Table?.Name ?? (IsExtended ? $"Extended Capability ID 0x{Id:x}" : $"Capability ID 0x{Id:x}");

    /// <summary>How lists head it: <c>[50]</c>, <c>[100 v2]</c>.</summary>
    public string Heading => IsExtended ? $"[{Offset:x3} v{Version}]" : $"[{Offset:x2}]";
}
