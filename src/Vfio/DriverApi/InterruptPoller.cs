using System.Collections.Concurrent;
using Vfio.Native;

namespace Vfio;

/// <summary>The one thread of this process that watches the interrupts somebody waits for asynchronously.</summary>
internal sealed class InterruptPoller
{
    private const int ReportsAtOnce = 64;
    private static readonly Lazy<InterruptPoller> Instance = new(() => new InterruptPoller());
    private readonly Epoll _epoll = new();
    private readonly ConcurrentDictionary<ulong, InterruptWait> _watched = new();
    private ulong _lastToken;

    private InterruptPoller() => new Thread(Run) { IsBackground = true, Name = "vfio interrupts" }.Start();

    internal static InterruptPoller Shared => Instance.Value;

    /// <summary>Watches the eventfd of a wait, armed for one call of <see cref="InterruptWait.OnReadable"/>.</summary>
    /// <returns>A number for <see cref="Arm"/> and <see cref="Remove"/>; never 0, never used twice.</returns>
    internal ulong Add(InterruptWait wait)
    {
        ulong token = Interlocked.Increment(ref _lastToken);
        _watched[token] = wait;
        try
        {
            _epoll.Add(wait.Descriptor, token);
        }
        catch (VfioException)
        {
            _watched.TryRemove(token, out _);
            throw;
        }

        return token;
    }

    internal void Arm(InterruptWait wait, ulong token) => _epoll.Arm(wait.Descriptor, token);

    /// <summary>Stops watching; a report that is under way is dropped, because its number is not known any more.</summary>
    internal void Remove(InterruptWait wait, ulong token)
    {
        _watched.TryRemove(token, out _);
        _epoll.Remove(wait.Descriptor);
    }

    private void Run()
    {
        ulong[] tokens = new ulong[ReportsAtOnce];
        while (true)
        {
            int count = _epoll.Wait(tokens, Timeout.InfiniteTimeSpan);
            foreach (ulong token in tokens.AsSpan(0, count))
            {
                if (_watched.TryGetValue(token, out InterruptWait? wait))
                    wait.OnReadable();
            }
        }
    }
}
