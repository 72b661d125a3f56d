namespace Vfio.Drivers.Igb;

/// <summary>Looks at a function's registers now and then, while somebody waits for its frames.</summary>
/// <remarks>Frames come in memory, which a function that is gone leaves as it was, and it interrupts no more: only its registers tell.
/// Nobody else has to: a slot without hotplug, and a lender that does not signal, say nothing. It is kept from wait to wait, so that many
/// short waits find out as one long one does.</remarks>
internal sealed class IgbLookout(IgbFunction function)
{
    /// <summary>The longest time between two looks of somebody who waits; a look costs about a microsecond.</summary>
    internal static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    private long _next = Environment.TickCount64 + (long)Interval.TotalMilliseconds;

    /// <summary>Looks, when it is time to.</summary>
    /// <exception cref="VfioException">ENODEV: the function is gone; ECONNRESET: it was reset.</exception>
    internal void Look()
    {
        long now = Environment.TickCount64;
        if (now < _next)
            return;
        _next = now + (long)Interval.TotalMilliseconds;
        function.ThrowIfDead("wait for a frame");
    }
}
