using System.Globalization;

namespace Vfio.Kernel;

/// <summary>Text that others chose (names of processes, mount points, labels of devices), fit for a message of one line.</summary>
internal static class OneLine
{
    private const int MaxLength = 128;

    /// <summary>The text with a question mark for each character that a terminal could obey, and shortened.</summary>
    internal static string Of(string text) => string.Concat(
        (text.Length > MaxLength ? text[..MaxLength] : text).Select(character => IsPlain(character) ? character : '?'));

    private static bool IsPlain(char character) => char.GetUnicodeCategory(character) is not (UnicodeCategory.Control or UnicodeCategory.Format
        or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.Surrogate
        or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned);
}
