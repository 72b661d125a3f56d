using Vfio.Guard;
using Vfio.Native.Waiting;

namespace Vfio.Devices.Igb;

/// <summary>The thread that sends interrupts which had to wait for EITR, and tells of changes of the link and of the mailboxes.</summary>
internal sealed class IgbTimerWork(IgbPool pool) : DeviceWork(pool.Function)
{
    // Vectors whose time comes earlier may be added during a sleep, which nothing ends.
    private static readonly TimeSpan LongestSleep = TimeSpan.FromMicroseconds(100);

    /// <inheritdoc/>
    protected internal override string Name => "igb timer";

    /// <inheritdoc/>
    protected override void Run()
    {
        while (!ShouldReturn)
        {
            if (!Enter())
                return;
            uint vectors = pool.TakeCauses() is not 0 and uint causes ? pool.Interrupts.Raise(causes) : 0;
            vectors |= pool.Interrupts.SendDue(out TimeSpan? wait);
            InterruptEach(vectors);
            Leave();
            if (wait is not { } left)
                return;
            ShortSleep.For(left < LongestSleep ? left : LongestSleep);
        }
    }
}
