using Vfio.Guard;

namespace Vfio.Devices.Nvme;

/// <summary>Takes the image for this process alone, once the process that had the drive before has ended.</summary>
internal sealed class NvmeLockWork(NvmeFunction function, NvmeDisk disk) : DeviceWork(function)
{
    private const int Interval = 10;

    /// <inheritdoc/>
    protected internal override string Name => "nvme lock";

    /// <inheritdoc/>
    protected override void Run()
    {
        while (!ShouldReturn && !disk.TryLock())
            Thread.Sleep(Interval);
    }
}
