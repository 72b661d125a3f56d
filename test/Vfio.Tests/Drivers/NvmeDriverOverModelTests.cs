using Vfio.Devices.Nvme;
using Vfio.Drivers.Nvme;
using Vfio.Guard;
using Vfio.Tests.Driver;
using Xunit;

namespace Vfio.Tests.Drivers;

/// <summary>The guarded model in this process.</summary>
public sealed class NvmeDriverOverModelTests : NvmeDriverTests, IDisposable
{
    private readonly GuardedFunction _nvme = new(NvmeFunction.InMemory(DiskBytes));

    [Fact]
    public void Polled_commands_allocate_nothing()
    {
        using NvmeController controller = new(Open());
        NvmeNamespace disk = controller.FindNamespace(1);
        using NvmeQueuePair queue = controller.CreateQueuePair(depth: 8);
        using DmaBuffer buffer = controller.Device.AllocateDma(8 * 16384);
        NvmeCompleted[] completed = new NvmeCompleted[8];

        Assert.Equal(0, Measure.Allocations(() =>
        {
            for (uint i = 0; i < 8; i++)
                queue.TryRead(disk, i, 32, buffer, i * 16384, i);
            queue.RingDoorbell();
            while (queue.InFlight > 0)
                queue.Wait(completed);
        }));
    }

    [Fact]
    public void Polled_reads_and_writes_of_bytes_allocate_nothing()
    {
        using NvmeController controller = new(Open());
        NvmeBlockDeviceOptions options = new() { Interrupts = false, Depth = 2, CommandBytes = 4096 };
        using NvmeBlockDevice disk = controller.FindNamespace(1).Open(options);
        byte[] bytes = new byte[16384];

        Assert.Equal(0, Measure.Allocations(() =>
        {
            disk.Write(8192, bytes);
            disk.Read(512, bytes);
        }));
    }

    public void Dispose() => _nvme.Dispose();

    protected override IVfioDevice Open() => _nvme.Open();
}
