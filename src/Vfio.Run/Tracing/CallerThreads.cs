using System.Collections.Concurrent;
using System.Globalization;
using Vfio.Native.Files;

namespace Vfio.Run.Tracing;

/// <summary>The threads that made calls, or began under a tracer, by which the processes of a run are found again, whoever their parents are by then.</summary>
/// <remarks>Any thread may use it. A later thread of the same number is not taken for one of these.</remarks>
internal sealed class CallerThreads
{
    private const int MostKnown = 4096;

    private readonly ConcurrentDictionary<int, string> _started = [];

    /// <summary>A thread made a call, or began.</summary>
    internal void Add(int thread)
    {
        if (_started.ContainsKey(thread) || StartOf(thread) is not { } start)
            return;
        if (_started.Count >= MostKnown)
            RemoveEnded();
        _started[thread] = start;
    }

    /// <summary>The processes of those threads that are there.</summary>
    internal HashSet<int> FindProcesses()
    {
        RemoveEnded();
        return [.. _started.Keys.Select(ThreadCaller.FindProcess)];
    }

    private void RemoveEnded()
    {
        foreach ((int thread, string start) in _started)
        {
            // What cannot be read, perhaps for want of descriptors, may be there: it would never be found again.
            bool isGone = StartOf(thread) is { } now ? now != start : !Directory.Exists(string.Create(CultureInfo.InvariantCulture, $"/proc/{thread}"));
            if (isGone)
                _started.TryRemove(new KeyValuePair<int, string>(thread, start));
        }
    }

    private static string? StartOf(int thread) => ProcessStat.TryRead(thread.ToString(CultureInfo.InvariantCulture))?.StartTime;
}
