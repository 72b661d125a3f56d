// tests/CrcClient.cs
using Vfio;

namespace Crc.Tests;

/// <summary>A driver of the device, written from its data sheet.</summary>
public sealed class CrcClient : IDisposable
{
    private const long Id = 0x00, Control = 0x04, Status = 0x08, Length = 0x0c, Address = 0x10, Result = 0x18;
    private const uint Start = 1, Done = 2;

    private readonly PciDevice _device;
    private readonly Bar _registers;
    private readonly Interrupt _interrupt;
    private readonly DmaBuffer _memory;

    public CrcClient(IVfioDevice device)
    {
        _device = new PciDevice(device);
        _registers = _device.OpenBar(0);
        _interrupt = _device.Interrupts.Enable(1)[0];
        _memory = _device.AllocateDma(1 << 20, DmaAccess.Read);
        _device.EnableBusMaster(); // for memory, and for MSI, which is a write to memory
    }

    /// <summary>The device.</summary>
    public IVfioDevice Device => _device.Device;

    /// <summary>What identifies it.</summary>
    public uint Identity => _registers.Read32(Id);

    /// <summary>The last result.</summary>
    public uint LastResult => _registers.Read32(Result);

    /// <summary>Has it compute a checksum of bytes.</summary>
    public uint Compute(ReadOnlySpan<byte> bytes)
    {
        _memory.Write(0, bytes);
        Assert.Equal(Done, Run(_memory.Start.Value, (uint)bytes.Length));
        return LastResult;
    }

    /// <summary>Has it compute a checksum of memory at an address.</summary>
    /// <returns>STATUS.</returns>
    public uint Run(ulong address, uint bytes)
    {
        _registers.Write64(Address, address);
        _registers.Write32(Length, bytes);
        _registers.Write32(Control, Start);
        Assert.True(_interrupt.Wait(TimeSpan.FromSeconds(60)));
        uint status = _registers.Read32(Status);
        _registers.Write32(Status, status); // clears what was read
        return status;
    }

    public void Dispose() => _device.Dispose();
}
