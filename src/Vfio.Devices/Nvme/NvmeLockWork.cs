using Vfio.Guard;

namespace Vfio.Devices.Nvme;

/// <summary>Takes the image for this process alone, once the process that had the drive before has ended.</summary>
internal sealed class NvmeLockWork(NvmeFunction function, NvmeDisk disk) : DeviceWork(function)
{
    private const int Interval = 10;
    private volatile bool _isLocked;

    /// <inheritdoc/>
    protected internal override string Name => "nvme lock";

    /// <summary>Whether it has taken the image.</summary>
    internal bool IsLocked => _isLocked;

    /// <inheritdoc/>
    protected override void Run()
    {
        while (!_isLocked && !ShouldReturn)
        {
            _isLocked = disk.TryLock();
            if (!_isLocked)
                Thread.Sleep(Interval);
        }
    }
}
