using Vfio.Guard;
using Vfio.Native;
using Vfio.Tests.Driver;
using Xunit;

namespace Vfio.Tests.Guard;

/// <summary>Nothing is allocated for an access, a transfer or an interrupt once warm.</summary>
public sealed class GuardAllocationTests
{
    private enum Register { A }

    [Fact]
    public void Config_bars_dma_and_interrupts_allocate_nothing()
    {
        RegisterFile<Register> registers = new(new RegisterMap<Register>(0x1000) { { 0, 4, Register.A, 0, uint.MaxValue } });
        FunctionDescription description = new("x", 1, 2) { InterruptPin = 1, MsiVectors = 1, Msix = new MsixDescription(4, Bar: 2) };
        using Lease lease = new(description, (0, registers, BarType.Memory32));
        using EventFd fired = EventFd.Create();
        lease.MapDma(0x10000, 0x1000);
        lease.Write(4, 2, 6);
        byte[] bytes = new byte[64];
        IVfioDevice device = lease.Device;
        AssertNone("config read", () => device.ReadRegion(RegionIndex.Config, 0, bytes));
        AssertNone("config write", () => device.WriteRegion(RegionIndex.Config, 0x10, bytes.AsSpan(0, 16)));
        AssertNone("BAR read", () => device.ReadRegion(RegionIndex.Bar0, 0, bytes.AsSpan(0, 4)));
        AssertNone("BAR write", () => device.WriteRegion(RegionIndex.Bar0, 0, bytes.AsSpan(0, 4)));
        AssertNone("MSI-X table", () => device.ReadRegion(RegionIndex.Bar(2), 0, bytes));
        AssertNone("DMA read", () => lease.Function.Slot.ReadMemory(new Iova(0x10000), bytes));
        AssertNone("DMA write", () => lease.Function.Slot.WriteMemory(new Iova(0x10000), bytes));
        AssertNone("refused DMA", () => lease.Function.Slot.WriteMemory(new Iova(0x90000), bytes));
        lease.Bind(InterruptIndex.Intx, 0, fired);
        AssertNone("INTx", () =>
        {
            lease.Function.Interrupt(0);
            lease.Function.EndInterrupt();
            device.SetInterrupts(InterruptRequest.ForAll(InterruptIndex.Intx, InterruptAction.Unmask, 0, 1));
        });
        device.SetInterrupts(InterruptRequest.Disable(InterruptIndex.Intx));
        lease.Bind(InterruptIndex.Msi, 0, fired);
        AssertNone("MSI", () => lease.Function.Interrupt(0));
        Assert.NotEqual(0ul, fired.Drain());
    }

    private static void AssertNone(string what, Action action)
    {
        long bytes = Measure.Allocations(action);
        Assert.True(bytes == 0, $"{what}: {bytes} bytes for 1000");
    }
}
