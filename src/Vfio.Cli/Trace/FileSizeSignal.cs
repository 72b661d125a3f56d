using System.Runtime.InteropServices;

namespace Vfio.Cli.Trace;

/// <summary>The signal for a file that gets larger than the process may have: RLIMIT_FSIZE, <c>ulimit -f</c>.</summary>
internal static class FileSizeSignal
{
    private const int Sigxfsz = 25;

    /// <summary>Keeps it from ending the process until disposed: the write fails with EFBIG, and the device goes on.</summary>
    internal static PosixSignalRegistration Ignore() => PosixSignalRegistration.Create((PosixSignal)Sigxfsz, context => context.Cancel = true);
}
