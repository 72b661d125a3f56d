using Vfio.Pci.Capabilities;
using Vfio.Pci.Capabilities.Standard;
using Vfio.Pci.Config;

namespace Vfio.Pci;

/// <summary>The capabilities of a function, standard and extended, and what is wrong with their lists.</summary>
/// <remarks>PCI Express Base 6.0, sections 7.5.1.1.11 and 7.6. A broken list ends where it breaks; no input makes the reading fail.
/// </remarks>
public sealed class CapabilityList
{
    private CapabilityList(IReadOnlyList<Capability> items, IReadOnlyList<string> problems)
    {
        Items = items;
        Problems = problems;
    }

    /// <summary>In the order of the lists, standard before extended.</summary>
    public IReadOnlyList<Capability> Items { get; }

    /// <summary>Loops, overlaps, truncations and bad pointers, one line each; empty for a sound function.</summary>
    public IReadOnlyList<string> Problems { get; }

    /// <summary>Reads both lists.</summary>
    public static CapabilityList Read(ConfigSpace space)
    {
        ArgumentNullException.ThrowIfNull(space);
        List<string> problems = [];
        List<int> standard = StandardOffsets(space, problems);
        List<int> extended = HasExtended(space, standard) ? ExtendedOffsets(space, problems) : [];
        CapabilityReader reader = new(space, [.. standard, .. extended], problems);
        List<Capability> items = [.. standard.Select(reader.ReadStandard), .. extended.Select(reader.ReadExtended)];
        reader.ReportOverlaps(items);
        return new CapabilityList(items, problems);
    }

    /// <summary>The first capability of a kind; null when the function has none.</summary>
    public Capability? Find(ushort id, bool isExtended) => Items.FirstOrDefault(item => item.Id == id && item.IsExtended == isExtended);

    // Conventional functions may mirror their 256 bytes all over the 4096.
    private static bool HasExtended(ConfigSpace space, List<int> standard) =>
        standard.Exists(at => (ushort)space.Read8(at) is ExpressTable.Id or PciXTable.Id);

    private static List<int> StandardOffsets(ConfigSpace space, List<string> problems)
    {
        List<int> offsets = [];
        int from = space.HeaderType == 2 ? CapabilityWalk.FirstPointerCardBus : CapabilityWalk.FirstPointer;
        for (int pointer = CapabilityWalk.First(space); pointer != 0; pointer = space.Read8(from))
        {
            int at = pointer & ~3;
            if (at != pointer)
                problems.Add($"the pointer at 0x{from:x2} is misaligned: 0x{pointer:x2} is taken as 0x{at:x2}");
            if (at == 0)
                break;
            if (!CanFollow(space, offsets, from, at, ConfigSpace.HeaderLength, problems))
                break;
            if (space.Read8(at) == 0xff)
            {
                problems.Add($"the list breaks at 0x{at:x2}: id 0xff");
                break;
            }

            offsets.Add(at);
            from = at + 1;
        }

        return offsets;
    }

    private static List<int> ExtendedOffsets(ConfigSpace space, List<string> problems)
    {
        List<int> offsets = [];
        int from = ConfigSpace.ConventionalLength;
        int at = from;
        while (at != 0)
        {
            // A function without extended capabilities has zeros here; hidden extended space reads as all ones or is not known.
            if (offsets.Count == 0 && (!space.Knows(at, 4) || space.Read32(at) is 0 or uint.MaxValue))
                break;
            if (!CanFollow(space, offsets, from, at, ConfigSpace.ConventionalLength, problems))
                break;
            uint header = space.Read32(at);
            if (header is 0 or uint.MaxValue)
            {
                problems.Add($"the extended list breaks at 0x{at:x3}: header 0x{header:x8}");
                break;
            }

            offsets.Add(at);
            from = at;
            int pointer = (int)header.Get(31, 20);
            at = pointer & ~3;
            if (at != pointer)
                problems.Add($"the pointer at 0x{from:x3} is misaligned: 0x{pointer:x3} is taken as 0x{at:x3}");
        }

        return offsets;
    }

    private static bool CanFollow(ConfigSpace space, List<int> seen, int from, int to, int lowest, List<string> problems)
    {
        string? problem =
            seen.Contains(to) ? $"the list loops: 0x{from:x2} points back to 0x{to:x2}"
            : to < lowest ? $"the pointer at 0x{from:x2} leads to 0x{to:x2}, before 0x{lowest:x2} where capabilities start"
            : !space.Knows(to, 4) ? $"the list goes on at 0x{to:x2}, but only {space.Length} bytes are known"
            : null;
        if (problem is not null)
            problems.Add(problem);
        return problem is null;
    }
}
