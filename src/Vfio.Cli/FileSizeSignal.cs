using System.Runtime.InteropServices;

namespace Vfio.Cli;

/// <summary>The signal for a file that gets larger than the process may have: RLIMIT_FSIZE, <c>ulimit -f</c>.</summary>
internal static class FileSizeSignal
{
    private const int Sigxfsz = 25;

    /// <summary>Keeps it from ending the process until disposed: the write fails with EFBIG.</summary>
    internal static PosixSignalRegistration Ignore() => PosixSignalRegistration.Create((PosixSignal)Sigxfsz, context => context.Cancel = true);
}
