using Vfio.Native;
using Vfio.Native.Waiting;
using static Vfio.Drivers.Edu.EduRegisters;

namespace Vfio.Drivers.Edu;

/// <summary>The interrupt side of the device: waits for causes and acknowledges them.</summary>
internal sealed class EduEvents(string name, Bar registers, Interrupt interrupt)
{
    internal InterruptIndex Kind => interrupt.Kind;

    /// <summary>Forgets every cause and lets the interrupt come again.</summary>
    internal void Clear()
    {
        Acknowledge();
        interrupt.Forget();
        interrupt.Rearm();
    }

    /// <summary>Waits until an interrupt brings a cause.</summary>
    /// <returns>All causes that came up to then, acknowledged; 0 when the time ran out first.</returns>
    internal uint WaitFor(uint cause, TimeSpan timeout)
    {
        Deadline end = new(timeout);
        uint seen = 0;
        while ((seen & cause) == 0)
        {
            if (!interrupt.Wait(end.Left))
            {
                if (end.HasPassed)
                    return 0;
                continue;
            }

            // Acknowledge first: a pin that is still asserted would fire again the moment it is unmasked.
            seen |= Acknowledge();
            interrupt.Rearm();
        }

        return seen;
    }

    /// <summary>The error of an operation whose interrupt did not come.</summary>
    internal VfioException NotInTime(string operation, TimeSpan timeout) =>
        new(operation, name, Errno.TimedOut, $"no {Kind} interrupt came within {timeout.TotalSeconds} s");

    private uint Acknowledge()
    {
        uint causes = registers.Read32(InterruptStatus);
        if (causes != 0)
            registers.Write32(InterruptAcknowledge, causes);
        return causes;
    }
}
