using Vfio.Native;
using Vfio.Native.Errors;

namespace Vfio.Tests.Native;

/// <summary>Foreign text, made printable.</summary>
public sealed class PrintableTextTests
{
    [Theory]
    [InlineData("", "")]
    [InlineData("QEMU NVMe Ctrl", "QEMU NVMe Ctrl")]
    [InlineData("Grüße, 世界 🎉 [red] \\x1b", "Grüße, 世界 🎉 [red] \\x1b")]
    [InlineData("a\e[31mb", "a\\x1b[31mb")]
    [InlineData("bell\a", "bell\\x07")]
    [InlineData("nul\0", "nul\\x00")]
    [InlineData("line\r\nline\tend", "line\\r\\nline\\tend")]
    [InlineData("del\x7f", "del\\x7f")]
    [InlineData("c1\u009b31m\u0085", "c1\\x9b31m\\x85")]
    [InlineData("\u202eexe.txt\u202c", "\\u202eexe.txt\\u202c")]
    [InlineData("\u2066a\u2069", "\\u2066a\\u2069")]
    [InlineData("a\u200bb\u200e\ufeff\u2060", "a\\u200bb\\u200e\\ufeff\\u2060")]
    [InlineData("a\u2028b\u2029", "a\\u2028b\\u2029")]
    [InlineData("tag \U000e0041", "tag \\U000e0041")]
    public void What_steers_a_terminal_or_misleads_a_reader_is_shown(string text, string printable) => Assert.Equal(printable, PrintableText.Of(text));

    [Fact]
    public void Lone_surrogates_are_shown()
    {
        Assert.Equal("\\ud83ca", PrintableText.Of(new string(['\ud83c', 'a'])));
        Assert.Equal("a\\udf89", PrintableText.Of(new string(['a', '\udf89'])));
        Assert.Equal("\\udf89\\ud83c", PrintableText.Of(new string(['\udf89', '\ud83c'])));
    }

    [Fact]
    public void No_character_gets_through_that_a_terminal_takes_for_more_than_a_letter()
    {
        for (int code = 0; code <= 0xffff; code++)
        {
            string printable = PrintableText.Of(((char)code).ToString());
            Assert.DoesNotContain(printable, letter =>
                letter is < ' ' or (>= '\x7f' and <= '\x9f') or (>= '\u200b' and <= '\u200f') or (>= '\u202a' and <= '\u202e')
                or (>= '\u2066' and <= '\u2069') or '\ufeff' or (>= '\ud800' and <= '\udfff'));
        }
    }

    [Theory]
    [InlineData("abcdef", 6, "abcdef")]
    [InlineData("abcdefg", 6, "abcde…")]
    [InlineData("abc\e\e", 6, "abc…")]
    [InlineData("ab🎉🎉", 4, "ab…")]
    [InlineData("a", 1, "a")]
    [InlineData("\e", 1, "…")]
    public void A_text_is_as_long_as_it_may_be(string text, int length, string cut)
    {
        Assert.Equal(cut, PrintableText.Of(text, length));
        Assert.InRange(PrintableText.Of(text, length).Length, 0, length);
    }

    [Fact]
    public void What_needs_no_change_is_the_same_string()
    {
        string text = new('a', 100);
        Assert.Same(text, PrintableText.Of(text));
        Assert.Equal("", PrintableText.Of(null));
    }
}
