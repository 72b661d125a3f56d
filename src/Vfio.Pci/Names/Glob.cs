namespace Vfio.Pci.Names;

/// <summary>Shell patterns: <c>*</c>, <c>?</c>, <c>[a-f]</c>, <c>[!x]</c>, and <c>\</c> before a character that means itself.</summary>
/// <remarks>POSIX.1-2017, Shell Command Language, section 2.13.1. Takes time in the product of both lengths at most.</remarks>
internal static class Glob
{
    /// <summary>Whether a text matches a pattern as a whole.</summary>
    internal static bool Matches(ReadOnlySpan<byte> pattern, ReadOnlySpan<byte> text)
    {
        int at = 0;
        int position = 0;
        (int Pattern, int Text) star = (-1, 0);
        while (position < text.Length)
        {
            int next = at;
            if (at < pattern.Length && pattern[at] == '*')
            {
                star = (++at, position);
            }
            else if (at < pattern.Length && MatchesOne(pattern, ref next, text[position]))
            {
                at = next;
                position++;
            }
            else if (star.Pattern >= 0)
            {
                // The last star takes one character more.
                at = star.Pattern;
                position = ++star.Text;
            }
            else
            {
                return false;
            }
        }

        return pattern[at..].TrimStart((byte)'*').IsEmpty;
    }

    private static bool MatchesOne(ReadOnlySpan<byte> pattern, ref int at, byte value)
    {
        byte first = pattern[at++];
        if (first == '?')
            return true;
        if (first == '\\' && at < pattern.Length)
            return pattern[at++] == value;
        int end = first == '[' ? EndOfSet(pattern, at) : -1;
        if (end < 0)
            return first == value;
        ReadOnlySpan<byte> set = pattern[at..end];
        at = end + 1;
        return MatchesSet(set, value);
    }

    // A bracket that comes first, or after the exclamation mark, stands for itself.
    private static int EndOfSet(ReadOnlySpan<byte> pattern, int at)
    {
        int first = at < pattern.Length && pattern[at] is (byte)'!' or (byte)'^' ? at + 1 : at;
        int end = first + 1 >= pattern.Length ? -1 : pattern[(first + 1)..].IndexOf((byte)']');
        return end < 0 ? -1 : first + 1 + end;
    }

    private static bool MatchesSet(ReadOnlySpan<byte> set, byte value)
    {
        bool isNegated = set[0] is (byte)'!' or (byte)'^';
        if (isNegated)
            set = set[1..];
        bool isIn = false;
        for (int i = 0; i < set.Length; i++)
        {
            bool isRange = i + 2 < set.Length && set[i + 1] == '-';
            isIn |= isRange ? value >= set[i] && value <= set[i + 2] : value == set[i];
            i += isRange ? 2 : 0;
        }

        return isIn != isNegated;
    }
}
