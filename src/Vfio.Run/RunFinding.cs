namespace Vfio.Run;

/// <summary>What a program did that works on no machine, or leaves something behind.</summary>
public enum RunFindingKind
{
    /// <summary>A device accessed an address where nothing is mapped for it, or not so; or without bus mastering. An IOMMU logs that as a
    /// fault. Emulated devices of this process say so.</summary>
    DmaFault,

    /// <summary>A device accessed memory that is mapped for it, and that the program has unmapped meanwhile. On a machine the device still
    /// reaches the old pages.</summary>
    Unmapped,

    /// <summary>The program closed a device, or ended, and left mappings, bound eventfds or bus mastering on.</summary>
    Leak,
}

/// <summary>Something that a program did wrong.</summary>
/// <param name="Kind">What kind.</param>
/// <param name="Device">The device's address; or the file, where it is about what several devices share.</param>
/// <param name="Message">What happened: one line of printable text.</param>
public sealed record RunFinding(RunFindingKind Kind, string Device, string Message)
{
    /// <summary>All of it, in a line.</summary>
    public override string ToString() => $"{NameOf(Kind)}: {Device}: {Message}";

    /// <summary>The name of a kind in options and reports.</summary>
    internal static string NameOf(RunFindingKind kind) => kind switch
    {
        RunFindingKind.DmaFault => "dma-fault",
        RunFindingKind.Unmapped => "unmapped",
        _ => "leak",
    };
}
