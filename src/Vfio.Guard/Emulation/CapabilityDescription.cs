namespace Vfio.Guard;

/// <summary>A capability of a <see cref="EmulatedFunction"/> that has no effect of its own.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Body">Its bytes after the header: from offset 2 on for a standard one, from offset 4 for an extended one.</param>
public sealed record CapabilityDescription(ushort Id, ReadOnlyMemory<byte> Body)
{
    /// <summary>Whether it is an extended capability.</summary>
    public bool IsExtended { get; init; }

    /// <summary>Version of an extended one.</summary>
    public int Version { get; init; } = 1;

    /// <summary>Which bits of <see cref="Body"/> can be written. Bytes that are missing at the end cannot.</summary>
    public ReadOnlyMemory<byte> Writable { get; init; }
}
