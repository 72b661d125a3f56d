using System.Globalization;
using System.Runtime.InteropServices;

namespace Vfio.Cli.Output;

/// <summary>The signals that ask a long-running verb to end: Ctrl-C, SIGTERM, SIGQUIT, and SIGHUP of a terminal that is closed.</summary>
/// <remarks>A second one ends the process. A signal that was ignored at the start, as SIGHUP under nohup, stays ignored.</remarks>
internal sealed class StopSignals : IDisposable
{
    private const int FirstSignalCode = 128;

    private static readonly (PosixSignal Signal, int Number)[] Signals =
    [
        (PosixSignal.SIGHUP, 1), (PosixSignal.SIGINT, 2), (PosixSignal.SIGQUIT, 3), (PosixSignal.SIGTERM, 15),
    ];

    private readonly CancellationTokenSource _end = new();
    private readonly List<PosixSignalRegistration> _registrations = [];

    /// <summary>Listens from now on.</summary>
    /// <param name="besides">A signal that means something else to this verb; null for none.</param>
    internal StopSignals(PosixSignal? besides = null)
    {
        ulong ignored = Ignored();
        foreach ((PosixSignal signal, int number) in Signals)
        {
            if (signal != besides && (ignored >> (number - 1) & 1) == 0)
                _registrations.Add(PosixSignalRegistration.Create(signal, Stop));
        }
    }

    /// <summary>Cancelled at the first signal.</summary>
    internal CancellationToken Token => _end.Token;

    /// <summary>128 + the signal, as a shell reports it; 0 before the first.</summary>
    internal int ExitCode { get; private set; }

    /// <inheritdoc/>
    public void Dispose()
    {
        _registrations.ForEach(registration => registration.Dispose());
        _end.Dispose();
    }

    // A line of proc_pid_status(5): a mask in which signal 1 is bit 0.
    private static ulong Ignored()
    {
        const string Row = "SigIgn:";
        string? line = File.ReadLines("/proc/self/status").FirstOrDefault(line => line.StartsWith(Row, StringComparison.Ordinal));
        return ulong.TryParse(line.AsSpan(Math.Min(Row.Length, line?.Length ?? 0)).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ulong mask) ? mask : 0;
    }

    private void Stop(PosixSignalContext signal)
    {
        signal.Cancel = !_end.IsCancellationRequested;
        ExitCode = FirstSignalCode + Signals.First(known => known.Signal == signal.Signal).Number;
        _end.Cancel();
    }
}
