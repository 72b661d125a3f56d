namespace Vfio.Tests.Drivers;

/// <summary>A whole driver: it gives the device a buffer to sum, and sleeps until its interrupt comes.</summary>
public sealed class SummerDriver : IDisposable
{
    private readonly PciDevice _device;
    private readonly Bar _registers;
    private readonly Interrupt _done;
    private readonly DmaBuffer _buffer;

    public SummerDriver(IVfioDevice device)
    {
        _device = new PciDevice(device);
        _registers = _device.OpenBar(0);
        _done = _device.Interrupts.Enable(1)[0];
        _buffer = _device.AllocateDma(4096, DmaAccess.Read);
        _registers.Write64(0x08, _buffer.Start.Value);
        _device.EnableBusMaster();
    }

    public async Task<uint> SumAsync(byte[] bytes)
    {
        _buffer.Write(0, bytes);
        _registers.Write32(0x10, (uint)bytes.Length);
        await _done.WaitAsync();
        uint status = _registers.Read32(0x18);
        _registers.Write32(0x18, status);
        _done.Rearm();
        return status == 1 ? _registers.Read32(0x14) : throw new VfioException("sum", _device.Name, Errno.BadAddress);
    }

    public void Dispose() => _device.Dispose();
}
