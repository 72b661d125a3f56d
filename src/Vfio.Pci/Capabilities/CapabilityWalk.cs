namespace Vfio.Pci.Capabilities;

/// <summary>The steps along both lists of capabilities.</summary>
internal static class CapabilityWalk
{
    /// <summary>Where a header of type 0 or 1 points to its first capability.</summary>
    internal const int FirstPointer = 0x34;

    /// <summary>As <see cref="FirstPointer"/>, in the header of a CardBus bridge.</summary>
    internal const int FirstPointerCardBus = 0x14;

    /// <summary>More entries than this do not fit into conventional config space without overlap.</summary>
    private const int MostStandard = (ConfigSpace.ConventionalLength - ConfigSpace.HeaderLength) / 4;

    /// <summary>The list's first pointer, as it stands in the header; 0 when the function has no list.</summary>
    internal static int First(ConfigSpace space)
    {
        int pointer = space.HeaderType == 2 ? FirstPointerCardBus : FirstPointer;
        return space.HasCapabilities && space.Knows(pointer, 1) ? space.Read8(pointer) : 0;
    }

    /// <summary>Offset of the first standard capability with an id; null when a list, however broken, shows none.</summary>
    internal static int? FindStandard(ConfigSpace space, int id)
    {
        int at = First(space) & ~3;
        for (int step = 0; step < MostStandard && at >= ConfigSpace.HeaderLength && space.Knows(at, 4); step++)
        {
            if (space.Read8(at) == id)
                return at;
            at = space.Read8(at + 1) & ~3;
        }

        return null;
    }
}
