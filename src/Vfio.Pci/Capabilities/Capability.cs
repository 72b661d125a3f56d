using Vfio.Pci.Capabilities;

namespace Vfio.Pci;

/// <summary>One capability found in a config space.</summary>
public sealed class Capability
{
    internal Capability(int offset, ushort id, int version, bool isExtended, int lengthBytes, IReadOnlyList<Register> registers)
    {
        Offset = offset;
        Id = id;
        Version = version;
        IsExtended = isExtended;
        LengthBytes = lengthBytes;
        Registers = registers;
    }

    /// <summary>Where it starts, in bytes.</summary>
    public int Offset { get; }

    /// <summary>Its id.</summary>
    public ushort Id { get; }

    /// <summary>Its version; 0 for a standard capability, which has none in its header.</summary>
    public int Version { get; }

    /// <summary>Whether it is in the extended list, from 0x100 on.</summary>
    public bool IsExtended { get; }

    /// <summary>Its size with its header. For an unknown kind, what lies between it and the next structure.</summary>
    public int LengthBytes { get; }

    /// <summary>Its registers with its header's, offsets from <see cref="Offset"/>, ascending; those beyond the known bytes are left
    /// out.</summary>
    internal IReadOnlyList<Register> Registers { get; }

    /// <summary>What is known about its kind; null for an id that no specification has assigned.</summary>
    internal CapabilityTable? Table { get; init; }

    /// <summary>The name of its kind, or its id in hex.</summary>
    public string Name => Table?.Name ?? (IsExtended ? $"Extended Capability ID 0x{Id:x}" : $"Capability ID 0x{Id:x}");

    /// <summary>How lists head it: <c>[50]</c>, <c>[100 v2]</c>.</summary>
    public string Heading => IsExtended ? $"[{Offset:x3} v{Version}]" : $"[{Offset:x2}]";
}
