namespace Vfio.Tests.User;

/// <summary>Counts the descriptors of this process that lead to one file, whatever other tests open meanwhile.</summary>
internal static class OpenDescriptors
{
    /// <summary>How many lead to the memory file of a name.</summary>
    internal static int OfMemoryFile(string name) => Count(link => link == $"/memfd:{name} (deleted)");

    /// <summary>How many mappings of the memory file this process has.</summary>
    internal static int MappingsOf(string name) => File.ReadLines("/proc/self/maps").Count(line => line.EndsWith($"/memfd:{name} (deleted)", StringComparison.Ordinal));

    private static int Count(Func<string, bool> isIt)
    {
        int count = 0;
        foreach (string entry in Directory.EnumerateFileSystemEntries("/proc/self/fd"))
        {
            // A descriptor may be closed between the listing and this.
            try
            {
                if (File.ResolveLinkTarget(entry, returnFinalTarget: false) is FileSystemInfo target && isIt(target.FullName))
                    count++;
            }
            catch (IOException)
            {
                continue;
            }
        }

        return count;
    }
}
