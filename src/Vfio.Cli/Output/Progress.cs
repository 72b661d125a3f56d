namespace Vfio.Cli.Output;

/// <summary>Progress of an operation, on the status line.</summary>
internal sealed class Progress(string what, long total) : IDisposable
{
    private const int EveryMilliseconds = 200;
    private long _last = Environment.TickCount64;
    private bool _shown;

    /// <summary>Sets how much is done, in the unit of <paramref name="done"/>; a total of 0 is unknown.</summary>
    internal void Report(long done)
    {
        long now = Environment.TickCount64;
        if (now - _last < EveryMilliseconds)
            return;
        _last = now;
        _shown = true;
        StatusLine.Show(total > 0 ? $"{what} {100 * done / total,3} %" : $"{what} {done}");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_shown)
            StatusLine.Show(null);
    }
}
