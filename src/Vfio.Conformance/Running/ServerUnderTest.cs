using System.Diagnostics;
using Vfio.Native;

namespace Vfio.Conformance;

/// <summary>The server: where it listens, and its process where this side started it.</summary>
internal sealed class ServerUnderTest : IDisposable
{
    private const int FirstSignalCode = 128;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);
    private readonly ConformanceOptions _options;
    private Process? _process;
    private int? _exitCode;
    private bool _wasReached;

    internal ServerUnderTest(ConformanceOptions options) => _options = options;

    /// <summary>How long one answer may take.</summary>
    internal TimeSpan Timeout => _options.Timeout;

    /// <summary>The process, while it lives and was started here.</summary>
    internal int? ProcessId => _process is { HasExited: false } process ? process.Id : null;

    /// <summary>Whether it is of the kind that ends when its client leaves; known after the first client.</summary>
    internal bool EndsWithClient { get; private set; }

    /// <summary>Connects, and starts the server first where it is gone and a command for that was given.</summary>
    /// <exception cref="CheckEndedException">Nobody listens any more, for as long as an answer may take.</exception>
    /// <exception cref="VfioException">Nobody ever did: there is no server to find fault with.</exception>
    internal UnixSocket Connect()
    {
        Deadline end = new(_options.Timeout);
        while (true)
        {
            try
            {
                Start();
                UnixSocket socket = UnixSocket.Connect(_options.Path, _options.Timeout);
                _wasReached = true;
                return socket;
            }
            catch (VfioException refusal)
            {
                if (end.HasPassed)
                    throw _wasReached ? CheckEndedException.Violation(refusal.Message + HowItEnded()) : NoServer(refusal);
            }

            Thread.Sleep(Pause);
        }
    }

    /// <summary>After a client that did nothing wrong has left: learns whether that ends the server.</summary>
    internal void LearnHowItEnds() => EndsWithClient = _process?.WaitForExit(_options.Timeout) ?? false;

    /// <summary>Why the server ended since the last call, where that is more than the end of its client explains; null otherwise.</summary>
    internal string? TakeDeath()
    {
        if (_process is not null && (EndsWithClient ? _process.WaitForExit(_options.Timeout) : _process.HasExited))
            NoteEnd(_process);
        int? code = _exitCode;
        _exitCode = null;
        return code switch
        {
            null => null,
            > FirstSignalCode => $"the server was ended by signal {code - FirstSignalCode}",
            _ => EndsWithClient ? null : $"the server ended with code {code}",
        };
    }

    /// <summary>Ends a server that was started here.</summary>
    public void Dispose()
    {
        if (_process is { HasExited: false })
            _process.Kill(entireProcessTree: true);
        _process?.Dispose();
    }

    private void NoteEnd(Process ended)
    {
        _exitCode ??= ended.ExitCode;
        ended.Dispose();
        _process = null;
    }

    private VfioException NoServer(VfioException refusal) =>
        new("connect", _options.Path, refusal.Errno, $"no server is there to be checked{HowItEnded()}");

    private string HowItEnded() => _process is { HasExited: true } ? $"; its command ended with code {_process.ExitCode}" : "";

    private void Start()
    {
        if (_options.ServerCommand is null || _process is { HasExited: false })
            return;
        // A check may connect again after it ended the server: what ended first is what the check is told.
        if (_process is not null)
            NoteEnd(_process);
        File.Delete(_options.Path);
        ProcessStartInfo start = new("/bin/sh", ["-c", $"exec {_options.ServerCommand}"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        _process = Process.Start(start)!;
        // A full pipe would stop the server.
        _ = _process.StandardOutput.ReadToEndAsync();
        _ = _process.StandardError.ReadToEndAsync();
    }
}
