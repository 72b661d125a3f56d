namespace Vfio.Devices.Network;

/// <summary>The other end of a port's cable as text: what follows <c>net=</c>.</summary>
internal static class NetAddress
{
    /// <summary>Makes it.</summary>
    /// <param name="model">For messages.</param>
    /// <param name="text"><c>none</c>, <c>loop</c>, <c>hub:NAME</c>, <c>stream:PATH</c>, <c>listen:PATH</c>, <c>dgram:OWN,PEER</c>,
    /// <c>tap:NAME</c>, <c>replay:PATH</c>.</param>
    /// <param name="record">A pcapng file to record to; null for none.</param>
    /// <exception cref="VfioException">EINVAL: it is none of these; else why it cannot be had.</exception>
    internal static NetBackend Open(string model, string text, string? record = null)
    {
        PcapngRecorder? recorder = record is null ? null : Try(record, () => new PcapngRecorder(record));
        try
        {
            NetBackend backend = Open(model, text);
            return recorder is null ? backend : new RecordingBackend(backend, recorder);
        }
        catch
        {
            recorder?.Dispose();
            throw;
        }
    }

    private static NetBackend Open(string model, string text)
    {
        string[] parts = text.Split(':', 2);
        string place = parts.Length > 1 ? parts[1] : "";
        return (parts[0], place) switch
        {
            ("none", "") => new NoBackend(),
            ("loop", "") => new LoopBackend(),
            ("hub", not "") => new HubBackend(place),
            ("stream", not "") => new StreamBackend(place, listens: false),
            ("listen", not "") => new StreamBackend(place, listens: true),
            ("tap", not "") => new TapBackend(place),
            ("replay", not "") => Try(place, () => new ReplayBackend(place)),
            ("dgram", _) when place.Split(',') is [not "", not ""] paths => new DatagramBackend(paths[0], paths[1]),
            _ => throw new VfioException(
                "open", $"model:{model}", Errno.InvalidArgument,
                $"'{text}' is no network: write net=none, loop, hub:NAME, stream:PATH, listen:PATH, dgram:OWN,PEER, tap:NAME "
                + "or replay:PATH"),
        };
    }

    private static T Try<T>(string path, Func<T> open)
    {
        try
        {
            return open();
        }
        catch (Exception refusal) when (refusal is IOException or UnauthorizedAccessException)
        {
            Errno error = refusal is UnauthorizedAccessException ? Errno.AccessDenied
                : refusal is FileNotFoundException or DirectoryNotFoundException ? Errno.NoEntry : Errno.InputOutput;
            throw new VfioException("open", path, error);
        }
    }
}
