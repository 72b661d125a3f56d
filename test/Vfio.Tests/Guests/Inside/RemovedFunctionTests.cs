using Vfio.Kernel;

namespace Vfio.Tests.Guests.Inside;

/// <summary>The library on a function that is removed by surprise of its slot: run inside a guest, as an ordinary user, by
/// <see cref="LibraryTests"/>.</summary>
public sealed class RemovedFunctionTests
{
    /// <summary>The file by which a test asks root for it.</summary>
    internal static string WishFor(string function) => $"/run/tear-out-{function}";

    [Theory(Explicit = true)]
    [InlineData(AssignedFunctionTests.First, VfioInterface.Group)]
    [InlineData(AssignedFunctionTests.Second, VfioInterface.Cdev)]
    public async Task A_function_that_is_removed_by_surprise_is_ENODEV_and_its_program_is_notified(string function, VfioInterface vfioInterface)
    {
        using DeviceWatch watch = new();
        using PciDevice device = new(AssignedFunctionTests.Open(function, vfioInterface));
        watch.Start(device);
        Task<RemovalReason> removed = device.Removed;
        Bar bar = device.OpenBar(0);
        Assert.Equal(0x010000edu, bar.Read32(0));
        Assert.True(device.IsPresent);

        File.WriteAllText(WishFor(function), "");
        Assert.True(watch.Stop.WaitHandle.WaitOne(HangGuard.Timeout));
        Assert.Equal($"{function} removed", watch.Reason!.ToString());
        Assert.Equal(RemovalReason.Removed, await removed.WaitAsync(HangGuard.Timeout));
        Assert.False(device.IsPresent);

        // Class code and revision, which read as all ones; the ids do not, for they are a copy of the kernel's.
        AssertGone(() => device.Config.Read32(0x08));
        Assert.Equal(0x1234, device.Config.Read16(0x00));

        // What is mapped goes with the decoding; a touch would end the process.
        device.Config.Write16(0x04, 0);
        AssertGone(() => bar.Read32(0));
        AssertGone(() => bar.Write32(4, 1));

        void AssertGone(Action action)
        {
            VfioException gone = Assert.Throws<VfioException>(action);
            Assert.Equal(19, (int)gone.Errno);
            Assert.Contains($"{function}: No such device; it was removed", gone.Message);
        }
    }
}
