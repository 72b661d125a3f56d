namespace Vfio.Native.Files;

/// <summary>What the kernel says of a process or a thread in <c>/proc/PID/stat</c>: proc_pid_stat(5).</summary>
/// <param name="State">One letter; Z for a process that has ended and was not waited for.</param>
/// <param name="StartTime">When it was started, in ticks since the machine's start: with the number, that of no other.</param>
internal readonly record struct ProcessStat(char State, string StartTime)
{
    // Fields 3 and 22, of those after the name. That may have blanks in it, and ends with the last bracket.
    private const int StateField = 0, StartTimeField = 22 - 3;

    /// <summary>Reads it.</summary>
    /// <param name="process">The number, or <c>self</c>.</param>
    /// <returns>Null when there is no such process.</returns>
    internal static ProcessStat? TryRead(string process)
    {
        try
        {
            string stat = File.ReadAllText($"/proc/{process}/stat");
            string[] fields = stat[(stat.LastIndexOf(')') + 1)..].TrimStart().Split(' ');
            return fields.Length > StartTimeField && fields[StateField].Length > 0 ? new ProcessStat(fields[StateField][0], fields[StartTimeField]) : null;
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
