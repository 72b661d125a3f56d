using System.Diagnostics;
using System.Globalization;
using Vfio.Native;
using Vfio.Native.Files;
using Vfio.Native.Sockets;
using Vfio.Native.Waiting;

namespace Vfio.Conformance;

/// <summary>The server: where it listens, and its process where this side started it.</summary>
internal sealed class ServerUnderTest : IDisposable
{
    /// <summary>Between two tries.</summary>
    internal static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);

    private const int FirstSignalCode = 128;
    private static readonly TimeSpan MaxWait = TimeSpan.FromMilliseconds(200);
    private readonly ConformanceOptions _options;
    private Process? _process;
    private int? _exitCode;
    private TimeSpan _restartTime;
    private bool _wasRestarted;
    private bool _isWatched = true;
    private int _lastPeer;
    private int _clients;

    internal ServerUnderTest(ConformanceOptions options)
    {
        _options = options;
        _restartTime = options.Timeout;
    }

    /// <summary>How long one answer may take.</summary>
    internal TimeSpan Timeout => _options.Timeout;

    /// <summary>How long a server may refuse clients, or close them unanswered, as one does that is started again.</summary>
    internal TimeSpan RestartTime => _restartTime;

    /// <summary>Ends the waits.</summary>
    internal CancellationToken Cancellation => _options.Cancellation;

    /// <summary>The process, while it lives and was started here.</summary>
    internal int? ProcessId => _process is { HasExited: false } process ? process.Id : null;

    /// <summary>Whether it is of the kind that ends when its client leaves; known after the first client.</summary>
    internal bool EndsWithClient { get; private set; }

    /// <summary>Whether a connection was ever made.</summary>
    internal bool WasReached { get; private set; }

    /// <summary>Connects. Starts the server first if it has exited and there is a command for that.</summary>
    /// <exception cref="CheckEndedException">The server has not listened again within the timeout of an answer or a restart.</exception>
    /// <exception cref="VfioException">No server has listened at all.</exception>
    internal UnixSocket Connect()
    {
        WaitForEndOfLast();
        Deadline end = new(WasReached ? RestartTime : Timeout);
        while (true)
        {
            Cancellation.ThrowIfCancellationRequested();
            try
            {
                Start();
                UnixSocket socket = UnixSocket.Connect(_options.Path, Timeout < MaxWait ? Timeout : MaxWait);
                WasReached = true;
                _clients++;
                _lastPeer = socket.PeerProcessId;
                return socket;
            }
            catch (VfioException refusal)
            {
                if (end.HasPassed)
                    throw WasReached ? CheckEndedException.Violation(refusal.Message + HowItEnded()) : NoServer(refusal);
                if (refusal.Errno != Errno.TimedOut)
                    NoteRestart();
            }

            Thread.Sleep(Pause);
        }
    }

    /// <summary>A client has left.</summary>
    internal void Leave() => _clients--;

    /// <summary>No server listened, or a client was closed unanswered: the server is being started again.</summary>
    internal void NoteRestart() => _wasRestarted = true;

    /// <summary>Finds out, after a client with valid requests has left, whether the server exits then.</summary>
    internal void LearnHowItEnds()
    {
        if (_options.ServerCommand is not null)
        {
            EndsWithClient = WaitFor(() => _process is not { HasExited: false });
        }
        else
        {
            // Its supervisor may take a while to start it again. A server that stays accepts the next client at once, in the same process.
            int first = _lastPeer;
            _wasRestarted = false;
            _restartTime = _options.RestartTimeout;
            try
            {
                using Trial trial = new(this, null);
                trial.Open();
                EndsWithClient = _wasRestarted || _lastPeer != first;
            }
            catch (CheckEndedException)
            {
                // The checks say what is wrong with it.
            }
        }

        _restartTime = EndsWithClient ? _options.RestartTimeout : Timeout;
    }

    /// <summary>Why the server ended since the last call, where that is more than the end of its client explains; null otherwise.</summary>
    internal string? TakeDeath()
    {
        if (_process is not null && (EndsWithClient ? WaitFor(() => _process.HasExited) : _process.HasExited))
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

    /// <summary>Lets a process that ends with its client do so: it would take the next one, and leave it unanswered.</summary>
    private void WaitForEndOfLast()
    {
        if (!EndsWithClient || _options.ServerCommand is not null || !_isWatched || _clients > 0 || _lastPeer <= 0)
            return;

        // The socket may belong to a process that stays, and passes its clients to others.
        _isWatched = WaitFor(() => !IsAlive(_lastPeer));
    }

    private bool WaitFor(Func<bool> isOver)
    {
        for (Deadline end = new(Timeout); !isOver(); Thread.Sleep(Pause))
        {
            Cancellation.ThrowIfCancellationRequested();
            if (end.HasPassed)
                return false;
        }

        return true;
    }

    /// <summary>Whether a process runs. A zombie counts as exited: it has closed its files.</summary>
    private static bool IsAlive(int process) =>
        ProcessStat.TryRead(process.ToString(CultureInfo.InvariantCulture)) is { State: not ('Z' or 'X') };

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
        // A check may connect again after it ended the server: the first end is reported.
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
