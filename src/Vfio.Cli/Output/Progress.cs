namespace Vfio.Cli.Output;

/// <summary>One line on the terminal that tells how far something is; nothing where errors go to a file.</summary>
internal sealed class Progress(string what, long total) : IDisposable
{
    private const int EveryMilliseconds = 200;
    private long _last = Environment.TickCount64;
    private bool _shown;

    /// <summary>Says how much is done, of <paramref name="done"/>'s unit; of a total of 0 nobody knows the end.</summary>
    internal void Report(long done)
    {
        long now = Environment.TickCount64;
        if (Console.IsErrorRedirected || now - _last < EveryMilliseconds)
            return;
        _last = now;
        _shown = true;
        Console.Error.Write(total > 0 ? $"\r{what} {100 * done / total,3} %" : $"\r{what} {done}");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_shown)
            Console.Error.Write("\r\u001b[K");
    }
}
