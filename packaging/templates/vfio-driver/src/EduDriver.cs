using Vfio;
using static Driver._1.EduRegisters;

namespace Driver._1;

/// <summary>Drives QEMU's educational device. Owns it; one thread at a time.</summary>
public sealed class EduDriver : IDisposable
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    private readonly PciDevice _device;
    private readonly Bar _registers;
    private readonly Interrupt _interrupt;
    private readonly DmaBuffer _memory;

    /// <summary>Takes the device over, and makes it ready.</summary>
    public EduDriver(IVfioDevice device)
    {
        _device = new PciDevice(device) { DmaAddressBits = DmaAddressBits };
        try
        {
            if ((_device.VendorId, _device.DeviceId) != (VendorId, DeviceId))
                throw new NotSupportedException($"{Name} is {_device.VendorId:x4}:{_device.DeviceId:x4}, not {VendorId:x4}:{DeviceId:x4}");
            _registers = _device.OpenBar(0);
            _interrupt = _device.Interrupts.Enable(1)[0]; // MSI-X, MSI or INTx: what the device has
            _memory = _device.AllocateDma(BufferLength);
            _device.EnableBusMaster();
        }
        catch
        {
            _device.Dispose();
            throw;
        }
    }

    /// <summary>The device's address, for messages.</summary>
    public string Name => _device.Name;

    /// <summary>Has the device compute a factorial, modulo 2^32.</summary>
    public uint Factorial(uint number)
    {
        _registers.Write32(Status, InterruptAfterFactorial);
        _registers.Write32(EduRegisters.Factorial, number);
        WaitForInterrupt();
        return _registers.Read32(EduRegisters.Factorial);
    }

    /// <summary>Has the device read bytes from memory by DMA, and write them back to memory.</summary>
    /// <param name="data">At most 4096 bytes.</param>
    public byte[] Echo(ReadOnlySpan<byte> data)
    {
        _memory.Write(0, data);
        Transfer(_memory.Start.Value, EduRegisters.Buffer, data.Length, 0);
        _memory.Clear(0, data.Length);
        Transfer(EduRegisters.Buffer, _memory.Start.Value, data.Length, DmaToMemory);
        byte[] echo = new byte[data.Length];
        _memory.Read(0, echo);
        return echo;
    }

    /// <summary>Resets the device, and frees its memory and interrupts.</summary>
    public void Dispose() => _device.Dispose();

    private void Transfer(ulong source, ulong destination, int bytes, uint direction)
    {
        _registers.Write64(DmaSource, source);
        _registers.Write64(DmaDestination, destination);
        _registers.Write64(DmaCount, (ulong)bytes);
        _registers.Write32(DmaCommand, DmaStart | InterruptAfterDma | direction);
        WaitForInterrupt();
    }

    private void WaitForInterrupt()
    {
        if (!_interrupt.Wait(Timeout))
            throw new TimeoutException($"{Name}: no {_interrupt.Kind} interrupt within {Timeout.TotalSeconds} s");
        _registers.Write32(InterruptAcknowledge, _registers.Read32(InterruptStatus));
        _interrupt.Rearm(); // after the acknowledge: an INTx that is still asserted fires again
    }
}
