namespace Vfio.Cli.Html;

/// <summary>Style and script of pages, which are in the program.</summary>
internal static class Asset
{
    /// <summary>Reads one.</summary>
    internal static string Read(string name)
    {
        using Stream stream = typeof(Asset).Assembly.GetManifestResourceStream($"html/{name}")!;
        using StreamReader reader = new(stream);
        return reader.ReadToEnd();
    }
}
