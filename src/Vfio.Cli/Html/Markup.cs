using System.Net;
using System.Text;
using Vfio.Native.Errors;

namespace Vfio.Cli.Html;

/// <summary>Writes HTML: markup that the program has, and text from anywhere, which never becomes markup.</summary>
internal sealed class Markup
{
    private const int MaxTextLength = 4000;
    private readonly StringBuilder _text = new();

    /// <summary>Writes markup of the program's own.</summary>
    internal Markup Raw(string markup)
    {
        _text.Append(markup);
        return this;
    }

    /// <summary>Writes a text, or the value of an attribute between double quotes.</summary>
    internal Markup Text(string? text)
    {
        _text.Append(Escape(text));
        return this;
    }

    /// <summary>Writes markup in which every hole is a text.</summary>
    internal Markup Write(FormattableString markup)
    {
        object?[] holes = [.. markup.GetArguments().Select(hole => Escape(hole?.ToString()))];
        _text.AppendFormat(System.Globalization.CultureInfo.InvariantCulture, markup.Format, holes);
        return this;
    }

    /// <inheritdoc/>
    public override string ToString() => _text.ToString();

    private static string Escape(string? text) => WebUtility.HtmlEncode(PrintableText.Of(text, MaxTextLength));
}
