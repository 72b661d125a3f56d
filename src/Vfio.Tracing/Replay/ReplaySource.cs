namespace Vfio.Tracing.Replay;

/// <summary>A recording that can be opened again and again: each opening is its next session, and after the last the first again.</summary>
internal sealed class ReplaySource
{
    private readonly List<RecordedSession> _sessions;
    private readonly ReplayMode _mode;
    private readonly string _path;
    private readonly Action<string>? _told;
    private int _opened;

    /// <summary>Reads a recording.</summary>
    /// <param name="path">The file.</param>
    /// <param name="mode">How closely a driver has to follow.</param>
    /// <param name="session">The only session to replay; 0 for all.</param>
    /// <param name="told">Receives the first difference of each opening; null for nobody.</param>
    /// <exception cref="VfioException">It is no recording, or has no such session.</exception>
    internal ReplaySource(string path, ReplayMode mode, int session, Action<string>? told)
    {
        (_path, _mode, _told) = (path, mode, told);
        using TraceReader reader = TraceReader.Open(path);
        _sessions = RecordedSession.ReadAll(reader, path);
        if (session != 0 && _sessions.RemoveAll(one => one.Number != session) >= 0 && _sessions.Count == 0)
            throw new VfioException("reading the trace", path, Errno.NoEntry, $"no driver accessed a register in session {session} of it");
    }

    /// <summary>Makes it from the options of <c>model:replay</c>.</summary>
    /// <exception cref="VfioException">EINVAL: an option is not valid; or it is no recording.</exception>
    internal static ReplaySource Find(string address, IReadOnlyDictionary<string, string> options, Action<string>? told)
    {
        if (options.Keys.FirstOrDefault(name => name is not ("from" or "mode" or "session")) is { } unknown)
            throw Refusal($"it has no option '{unknown}': it has from, mode and session");
        if (!options.TryGetValue("from", out string? path))
            throw Refusal("say which recording: model:replay?from=FILE");
        ReplayMode mode = options.GetValueOrDefault("mode", "strict") switch
        {
            "strict" => ReplayMode.Strict,
            "register" => ReplayMode.Register,
            "loose" => ReplayMode.Loose,
            _ => throw Refusal("mode is strict, register or loose"),
        };
        int session = 0;
        if (options.TryGetValue("session", out string? number) && !(ushort.TryParse(number, out ushort parsed) && (session = parsed) > 0))
            throw Refusal("session is a number from 1 on");
        return new ReplaySource(path, mode, session, told);

        VfioException Refusal(string why) => new("address", address, Errno.InvalidArgument, why);
    }

    /// <summary>Opens the next session.</summary>
    internal ReplayedDevice Open()
    {
        int opened = Interlocked.Increment(ref _opened);
        RecordedSession session = _sessions[(int)((uint)(opened - 1) % _sessions.Count)];
        return new ReplayedDevice(session, _mode, $"model:replay ({_path})", RegisterNames.For(session.Config.Span), _told)
        {
            // Who only looked leaves the session to the driver.
            Unused = () => Interlocked.CompareExchange(ref _opened, opened - 1, opened),
        };
    }
}
