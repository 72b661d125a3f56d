using System.Runtime.InteropServices;

namespace Vfio.Cli.Output;

/// <summary>Ctrl-C and SIGTERM as a request to end with the sums, rather than at once.</summary>
internal sealed class StopSignals : IDisposable
{
    private const int FirstSignalCode = 128, Interrupt = 2, Terminate = 15;
    private readonly CancellationTokenSource _end = new();
    private readonly PosixSignalRegistration _interrupt;
    private readonly PosixSignalRegistration _terminate;

    internal StopSignals()
    {
        _interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        _terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
    }

    /// <summary>Cancelled once one of them came. A second one ends the process.</summary>
    internal CancellationToken Token => _end.Token;

    /// <summary>What a shell sees of a process that the signal ended; 0 while none came.</summary>
    internal int ExitCode { get; private set; }

    /// <inheritdoc/>
    public void Dispose()
    {
        _interrupt.Dispose();
        _terminate.Dispose();
        _end.Dispose();
    }

    private void Stop(PosixSignalContext signal)
    {
        signal.Cancel = !_end.IsCancellationRequested;
        ExitCode = FirstSignalCode + (signal.Signal == PosixSignal.SIGINT ? Interrupt : Terminate);
        _end.Cancel();
    }
}
