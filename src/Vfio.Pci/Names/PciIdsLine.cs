using System.Globalization;

namespace Vfio.Pci.Names;

/// <summary>One line of <c>pci.ids</c>.</summary>
/// <param name="Block">What block it is in: V for a vendor's, C for a class's, S for generic subsystems.</param>
/// <param name="Depth">Tabs before it.</param>
/// <param name="Id">Its id.</param>
/// <param name="SecondId">Its second id: a subsystem's device.</param>
/// <param name="Name">Its name.</param>
internal readonly record struct PciIdsLine(char Block, int Depth, uint Id, uint SecondId, string Name)
{
    /// <summary>Reads a line.</summary>
    /// <param name="line">The line.</param>
    /// <param name="block">The block that the lines before it opened.</param>
    /// <param name="entry">What it says.</param>
    /// <returns>False for comments, blank lines, and what is not understood.</returns>
    internal static bool TryParse(ReadOnlySpan<char> line, char block, out PciIdsLine entry)
    {
        entry = default;
        int depth = 0;
        while (depth < line.Length && line[depth] == '\t')
            depth++;
        line = line[depth..].TrimEnd();
        if (line.IsEmpty || line[0] == '#')
            return false;
        if (depth == 0)
        {
            bool isLettered = line.Length > 1 && line[1] == ' ' && char.IsAsciiLetterUpper(line[0]);
            block = isLettered ? line[0] : 'V';
            if (isLettered)
                line = line[2..];
        }

        int digits = block == 'C' ? 2 : 4;
        if (!TryTake(ref line, digits, out uint id))
            return false;
        uint secondId = 0;
        if (block == 'V' && depth == 2 && !TryTake(ref line, digits, out secondId))
            return false;
        entry = new PciIdsLine(block, depth, id, secondId, line.ToString());
        return true;
    }

    private static bool TryTake(ref ReadOnlySpan<char> line, int digits, out uint value)
    {
        value = 0;
        if (line.Length < digits || !uint.TryParse(line[..digits], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value))
            return false;
        line = line[digits..].TrimStart();
        return true;
    }
}
