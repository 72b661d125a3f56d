// README: a driver
using Vfio;

namespace Vfio.Tests.Readme;

/// <summary>Computes factorials on the edu device, on hardware, over a socket or on a model.</summary>
public static class FactorialDriver
{
    private const int Factorial = 0x08, Status = 0x20, InterruptStatus = 0x24, Acknowledge = 0x64, InterruptWhenDone = 0x80;

    public static uint Compute(string address, uint number)
    {
        using PciDevice edu = new(VfioDevice.Open(address));        // reset; bus mastering and interrupts are off
        Bar registers = edu.OpenBar(0);
        using InterruptSet interrupts = edu.Interrupts.Enable(1);   // the first that the device has of MSI-X, MSI and INTx
        edu.EnableBusMaster();

        registers.Write32(Status, InterruptWhenDone);
        registers.Write32(Factorial, number);
        if (!interrupts[0].Wait(TimeSpan.FromSeconds(10)))
            throw new TimeoutException($"{edu.Name} does not answer");
        registers.Write32(Acknowledge, registers.Read32(InterruptStatus));
        return registers.Read32(Factorial);
    }
}
