namespace Vfio.Kernel;

/// <summary>Which processes have a device file open.</summary>
internal static class Holders
{
    /// <summary>Each as <c>name (pid)</c>. As an ordinary user, only of one's own processes.</summary>
    internal static IReadOnlyList<string> Of(KernelPaths paths, IReadOnlyCollection<string> nodes)
    {
        List<string> holders = [];
        foreach (string folder in Directory.EnumerateDirectories(paths.Proc))
        {
            string process = Path.GetFileName(folder);
            if (process.All(char.IsAsciiDigit) && OpenFiles(folder).Any(nodes.Contains))
                holders.Add($"{NameOf(folder)} ({process})");
        }

        return holders;
    }

    private static List<string> OpenFiles(string folder)
    {
        try
        {
            return [.. Directory.EnumerateFileSystemEntries(Path.Combine(folder, "fd")).Select(LinkOf).OfType<string>()];
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private static string? LinkOf(string path)
    {
        try
        {
            return new FileInfo(path).LinkTarget;
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static string NameOf(string folder)
    {
        try
        {
            return File.ReadAllText(Path.Combine(folder, "comm")).Trim();
        }
        catch (IOException)
        {
            return "a process";
        }
    }
}
