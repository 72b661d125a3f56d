using System.Globalization;
using System.Text;

namespace Vfio.Native.Errors;

/// <summary>Makes untrusted text fit for a terminal and a log: control and misleading characters are shown as escapes.</summary>
/// <remarks>Shown as escapes are controls (C0 with line ends and tabs, DEL, C1), line and paragraph separators, marks and overrides of
/// direction (Unicode Standard Annex 9), characters without a width, and lone surrogates. All other text stays as it is. Pure; any
/// thread.</remarks>
internal static class PrintableText
{
    /// <summary>Characters of one text that are kept unless the caller says otherwise: more than any name or reason of good will has.</summary>
    public const int UsualLength = 1000;

    /// <summary>Escapes a text, and cuts one that is too long.</summary>
    /// <param name="text">The text; null is an empty one.</param>
    /// <param name="maxLength">Most characters of the result, from 1; a longer one ends with an ellipsis.</param>
    /// <returns>The same string when nothing in it had to change.</returns>
    public static string Of(string? text, int maxLength = UsualLength)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxLength, 1);
        if (text is null)
            return "";
        int first = FindUnprintable(text, 0);
        if (first < 0 && text.Length <= maxLength)
            return text;
        StringBuilder result = new(Math.Min(text.Length, maxLength) + 16);
        for (int i = 0; i < text.Length;)
        {
            bool isPair = char.IsHighSurrogate(text[i]) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]);
            int count = isPair ? 2 : 1;
            string piece = IsUnprintable(text, i) ? Escape(text, i) : text.Substring(i, count);
            if (result.Length + piece.Length > maxLength - (i + count < text.Length ? 1 : 0))
                return result.Append('…').ToString();
            result.Append(piece);
            i += count;
        }

        return result.ToString();
    }

    /// <summary>Where the next character is that a terminal must not get; -1 when there is none.</summary>
    /// <param name="text">The text.</param>
    /// <param name="from">Where to begin.</param>
    public static int FindUnprintable(string text, int from)
    {
        ArgumentNullException.ThrowIfNull(text);
        for (int i = from; i < text.Length; i++)
        {
            if (IsUnprintable(text, i))
                return i;
            if (char.IsHighSurrogate(text[i]))
                i++;
        }

        return -1;
    }

    private static bool IsUnprintable(string text, int index)
    {
        char letter = text[index];
        if (letter is >= ' ' and < '\x7f')
            return false;
        if (char.IsSurrogate(letter))
            return !char.IsSurrogatePair(text, index) || IsHidden(CharUnicodeInfo.GetUnicodeCategory(text, index));
        return IsHidden(CharUnicodeInfo.GetUnicodeCategory(letter));
    }

    // Format has the marks of direction, the zero-width characters and the tags.
    private static bool IsHidden(UnicodeCategory category) => category is UnicodeCategory.Control or UnicodeCategory.Format
        or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;

    private static string Escape(string text, int index) => text[index] switch
    {
        '\n' => @"\n",
        '\r' => @"\r",
        '\t' => @"\t",
        < '\x100' and char letter => $@"\x{(int)letter:x2}",
        char letter when char.IsSurrogate(letter) && char.IsSurrogatePair(text, index) => $@"\U{char.ConvertToUtf32(text, index):x8}",
        char letter => $@"\u{(int)letter:x4}",
    };
}
