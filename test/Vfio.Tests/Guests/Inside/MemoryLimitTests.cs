using Vfio.Kernel;

namespace Vfio.Tests.Guests.Inside;

/// <summary>The limit on locked memory, set to 64 KiB by <see cref="LibraryTests"/>.</summary>
public sealed class MemoryLimitTests
{
    [Theory(Explicit = true)]
    [InlineData(VfioInterface.Group)]
    [InlineData(VfioInterface.Cdev)]
    public void Memory_above_the_limit_is_ENOMEM_and_the_message_says_both(VfioInterface vfioInterface)
    {
        using PciDevice device = new(AssignedFunctionTests.Open(AssignedFunctionTests.First, vfioInterface));
        using DmaBuffer small = device.AllocateDma(4096);
        VfioException refusal = Assert.Throws<VfioException>(() => device.AllocateDma(1 << 20));
        Assert.Equal(12, (int)refusal.Errno);
        Assert.Contains("limited to 65536 bytes", refusal.Message);
        Assert.Contains("1048576 bytes", refusal.Message);

        // What was refused is not left behind.
        using DmaBuffer another = device.AllocateDma(4096);
        Assert.Equal(2, ((KernelDevice)device.Device).Space.Count);
    }
}
