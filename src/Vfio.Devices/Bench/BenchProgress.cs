namespace Vfio.Devices.Bench;

/// <summary>How far a transfer has come; with <see cref="BenchTransfer"/> it is all that goes on with it elsewhere.</summary>
internal struct BenchProgress
{
    /// <summary>Repeats that are over.</summary>
    internal uint Repeats;

    /// <summary>Bytes of the repeat under way that are over.</summary>
    internal uint Done;

    /// <summary>How far the repeat under way is from the transfer's address, in bytes.</summary>
    internal ulong Distance;

    /// <summary>Mappings that the range of the last repeat lies in.</summary>
    internal int Segments;

    /// <summary>Bytes of all repeats that are over.</summary>
    internal ulong Bytes;

    /// <summary>Nanoseconds that it took.</summary>
    internal ulong Nanoseconds;
}
