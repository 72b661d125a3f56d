using Vfio.Guard;
using Vfio.Native.Waiting;

namespace Vfio.Devices.Igb;

/// <summary>The thread that sends interrupts which had to wait for EITR, and tells of changes of the link.</summary>
internal sealed class IgbTimerWork(IgbCore core) : DeviceWork(core.Function)
{
    /// <inheritdoc/>
    protected internal override string Name => "igb timer";

    /// <inheritdoc/>
    protected override void Run()
    {
        while (!ShouldReturn)
        {
            if (!Enter())
                return;
            uint vectors = core.TakeLinkChange() ? core.Interrupts.Raise(IgbInterrupts.LinkChange) : 0;
            vectors |= core.Interrupts.SendDue(out TimeSpan? wait);
            for (; vectors != 0; vectors &= vectors - 1)
                Interrupt(System.Numerics.BitOperations.TrailingZeroCount(vectors));
            Leave();
            if (wait is not { } left)
                return;
            ShortSleep.For(left);
        }
    }
}
