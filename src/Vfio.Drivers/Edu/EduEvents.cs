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
    /// <returns>All causes that came up to then; they are acknowledged.</returns>
    /// <exception cref="VfioException">ETIMEDOUT.</exception>
    internal uint WaitFor(uint cause, string operation, TimeSpan timeout)
    {
        long end = Environment.TickCount64 + (long)timeout.TotalMilliseconds;
        uint seen = 0;
        while ((seen & cause) == 0)
        {
            long left = Math.Max(0, end - Environment.TickCount64);
            if (!interrupt.Wait(TimeSpan.FromMilliseconds(left)))
            {
                throw new VfioException(
                    operation, name, Errno.TimedOut, $"no interrupt with cause 0x{cause:x} came within {timeout.TotalSeconds} s");
            }

            // Acknowledge first: a pin that is still asserted would fire again the moment it is unmasked.
            seen |= Acknowledge();
            interrupt.Rearm();
        }

        return seen;
    }

    private uint Acknowledge()
    {
        uint causes = registers.Read32(InterruptStatus);
        if (causes != 0)
            registers.Write32(InterruptAcknowledge, causes);
        return causes;
    }
}
