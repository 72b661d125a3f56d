using System.Runtime.InteropServices;
using Vfio.Run;

namespace Vfio.Cli.Trace;

/// <summary>Signals for this process that are meant for the program.</summary>
internal sealed class PassedSignals : IDisposable
{
    // The terminal sends the first two to the program as well.
    private static readonly PosixSignal[] OfTerminal = [PosixSignal.SIGINT, PosixSignal.SIGQUIT];
    private static readonly (PosixSignal Signal, int Number)[] Signals =
    [
        (PosixSignal.SIGINT, 2), (PosixSignal.SIGQUIT, 3), (PosixSignal.SIGHUP, 1), (PosixSignal.SIGTERM, 15), ((PosixSignal)10, 10), ((PosixSignal)12, 12),
    ];

    private readonly List<PosixSignalRegistration> _registrations = [];

    internal PassedSignals(VfioRun run)
    {
        bool hasTerminal = !Console.IsInputRedirected;
        foreach ((PosixSignal signal, int number) in Signals)
        {
            _registrations.Add(PosixSignalRegistration.Create(signal, context =>
            {
                context.Cancel = true;
                if (!hasTerminal || !OfTerminal.Contains(signal))
                    run.Signal(number);
            }));
        }
    }

    public void Dispose() => _registrations.ForEach(registration => registration.Dispose());
}
