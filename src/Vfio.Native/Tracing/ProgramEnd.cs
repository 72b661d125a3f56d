namespace Vfio.Native.Tracing;

/// <summary>How a process ended.</summary>
/// <param name="Code">Its exit code; 0 when a signal ended it.</param>
/// <param name="Signal">The signal that ended it; 0 when it exited.</param>
internal readonly record struct ProgramEnd(int Code, int Signal)
{
    private const int FirstSignalCode = 128;

    /// <summary>As a shell reports it: 128 + the signal for one that was ended by it.</summary>
    internal int ShellCode => Signal == 0 ? Code : FirstSignalCode + Signal;

    /// <summary>From the status of waitpid(2).</summary>
    internal static ProgramEnd Of(int status) => (status & 0x7f) == 0 ? new ProgramEnd((status >> 8) & 0xff, 0) : new ProgramEnd(0, status & 0x7f);
}
