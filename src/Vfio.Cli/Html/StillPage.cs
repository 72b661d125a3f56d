using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Vfio.Cli.Output;
using Vfio.Cli.Show;
using Vfio.Pci.Decoding;

namespace Vfio.Cli.Html;

/// <summary>Functions as one HTML file that needs no other: to attach to a report, and to open anywhere.</summary>
/// <remarks>Nothing is fetched, and no script but its own runs: the file's policy names style and script by their hashes.</remarks>
internal static class StillPage
{
    /// <summary>Makes the file.</summary>
    /// <param name="views">The functions.</param>
    /// <param name="time">When they were looked at.</param>
    internal static string Of(IReadOnlyList<FunctionView> views, DateTime time)
    {
        string style = Asset.Read("page.css"), script = Asset.Read("bits.js");
        (FunctionView View, FunctionDocument? Document)[] functions =
            [.. views.Select(view => (view, view.IsPci ? ConfigDecoder.Decode(view.Space, view.Facts) : null))];
        Markup page = new();
        page.Raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
        page.Raw($"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{Hash(style)}'; script-src '{Hash(script)}'; base-uri 'none'; form-action 'none'\">\n");
        page.Raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n");
        page.Write($"<title>{(views.Count == 1 ? Title(functions[0]) : $"{views.Count} functions")}</title>\n");
        page.Raw("<style>").Raw(style).Raw("</style>\n</head>\n<body>\n<main class=\"still\">\n");
        if (views.Count > 1)
            WriteContents(page, functions);
        for (int i = 0; i < functions.Length; i++)
            WriteFunction(page, functions[i], $"f{i}");
        page.Write($"</main>\n<footer>vfio {VersionAction.Version}, {time.ToString("u", CultureInfo.InvariantCulture)}</footer>\n");
        page.Raw("<script>").Raw(script).Raw("</script>\n</body>\n</html>\n");
        return page.ToString();
    }

    private static void WriteContents(Markup page, (FunctionView View, FunctionDocument? Document)[] functions)
    {
        page.Raw("<nav aria-label=\"Functions\"><ul>\n");
        for (int i = 0; i < functions.Length; i++)
            page.Write($"<li><a href=\"#f{i}\">{Title(functions[i])}</a></li>\n");
        page.Raw("</ul></nav>\n");
    }

    private static void WriteFunction(Markup page, (FunctionView View, FunctionDocument? Document) function, string key)
    {
        page.Write($"<article id=\"{key}\"><h1>{Title(function)}</h1>\n<h2>At a glance</h2>\n");
        GlanceMarkup.Write(page, function.View, function.Document);
        if (function.View.IsPci)
        {
            page.Raw("<h2>Config space, bit by bit</h2>\n");
            ConfigMarkup.Write(page, function.View.Space, key);
        }

        page.Raw("</article>\n");
    }

    private static string Title((FunctionView View, FunctionDocument? Document) function) =>
        function.Document?.Title ?? $"{function.View.Name}: platform device";

    private static string Hash(string content) => $"sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(content)))}";
}
