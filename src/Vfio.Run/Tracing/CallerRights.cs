using System.Globalization;
using Vfio.Native;

namespace Vfio.Run.Tracing;

/// <summary>Whose rights a thread has.</summary>
internal static class CallerRights
{
    // proc_pid_status(5): real, effective and saved one, and that of accesses to files.
    private const int OfFiles = 4;

    /// <summary>Whether a thread accesses files as the user and the group that this process does.</summary>
    /// <param name="thread">The thread, which waits for an answer.</param>
    internal static bool AreOurs(int thread)
    {
        try
        {
            string[] lines = File.ReadAllLines(string.Create(CultureInfo.InvariantCulture, $"/proc/{thread}/status"));
            return Find(lines, "Uid:") == UserAccount.CurrentId && Find(lines, "Gid:") == UserAccount.CurrentGroupId;
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static uint? Find(string[] lines, string row)
    {
        string[] words = Array.Find(lines, line => line.StartsWith(row, StringComparison.Ordinal))?.Split('\t') ?? [];
        return words.Length > OfFiles && uint.TryParse(words[OfFiles], NumberStyles.None, CultureInfo.InvariantCulture, out uint number) ? number : null;
    }
}
