using Vfio.Pci.Config;

namespace Vfio.Pci.Capabilities;

/// <summary>Turns the offset of a capability into the capability.</summary>
/// <param name="space">The config space.</param>
/// <param name="starts">Where all its capabilities start.</param>
/// <param name="problems">Takes what is wrong.</param>
internal sealed class CapabilityReader(ConfigSpace space, IReadOnlyList<int> starts, List<string> problems)
{
    private static readonly Register[] StandardHeader =
    [
        new Register(0x00, 1, "CapID") { { "ID", 7, 0, BitRule.Fixed } },
        // The guard may leave a capability out of its user's list.
        new Register(0x01, 1, "Next") { { "Next", 7, 0, BitRule.VirtualFixed } },
    ];

    private static readonly Register[] ExtendedHeader =
    [
        // All of it: a capability at 0x100 can only be left out by changing its id.
        new Register(0x00, 4, "Header")
        {
            { "ID", 15, 0, BitRule.VirtualFixed },
            { "Version", 19, 16, BitRule.VirtualFixed },
            { "Next", 31, 20, BitRule.VirtualFixed },
        },
    ];

    internal Capability ReadStandard(int at) => Make(at, space.Read8(at), 0, isExtended: false);

    internal Capability ReadExtended(int at)
    {
        uint header = space.Read32(at);
        return Make(at, (ushort)header.Get(15, 0), (int)header.Get(19, 16), isExtended: true);
    }

    internal void ReportOverlaps(IEnumerable<Capability> items)
    {
        Capability? before = null;
        foreach (Capability item in items.OrderBy(item => item.Offset))
        {
            if (before is not null && before.Offset + before.LengthBytes > item.Offset)
                problems.Add($"{before.Heading} {before.Name}, {before.LengthBytes} bytes, overlaps {item.Heading} {item.Name}");
            before = item;
        }
    }

    private Capability Make(int at, ushort id, int version, bool isExtended)
    {
        int room = Math.Min(isExtended ? ConfigSpace.ExtendedLength : ConfigSpace.ConventionalLength, space.Length) - at;
        Register[] header = isExtended ? ExtendedHeader : StandardHeader;
        CapabilityTable? table = CapabilityCatalog.Find(id, isExtended);
        CapabilityLayout layout = table?.Layout(new CapabilityView(space, at)) ?? CapabilityLayout.Unknown;
        if (layout == CapabilityLayout.Unknown)
            return new Capability(at, id, version, isExtended, Gap(at, room), header) { Table = table };
        Capability item = new(at, id, version, isExtended, layout.LengthBytes,
            [.. header, .. layout.Registers.Where(register => register.Offset + register.Bytes <= room)])
        { Table = table };
        if (layout.LengthBytes > room)
            problems.Add($"{item.Heading} {item.Name}, {layout.LengthBytes} bytes, runs past the {at + room} bytes that are known");
        return item;
    }

    private int Gap(int at, int room) => starts.Where(start => start > at).Select(start => start - at).Append(room).Min();
}
