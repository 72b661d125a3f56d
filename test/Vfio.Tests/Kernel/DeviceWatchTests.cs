using Vfio.Devices.Edu;
using Vfio.Guard;
using Vfio.Kernel;
using Vfio.Testing;

namespace Vfio.Tests.Kernel;

/// <summary>When a program has to let go of its device, and why.</summary>
public sealed class DeviceWatchTests : IDisposable
{
    private readonly GuardedFunction _guard = new(new EduFunction());
    private readonly DeviceWatch _watch = new();

    [Fact]
    public void An_owners_wish_is_a_token_with_a_reason()
    {
        using PciDevice device = new(_guard.Open());
        _watch.Start(device);
        Assert.False(_watch.Stop.IsCancellationRequested);
        Assert.Null(_watch.Reason);

        _guard.RequestBack();
        AwaitStop();
        Assert.Equal(DeviceEventKind.ReleaseRequested, _watch.Reason!.Kind);
        Assert.Equal($"{device.Name} release requested", _watch.Reason.ToString());
    }

    [Fact]
    public void An_error_of_the_device_is_one_too()
    {
        using PciDevice device = new(_guard.Open());
        _watch.Start(device);
        _guard.ReportError();
        AwaitStop();
        Assert.Equal($"{device.Name} error", _watch.Reason!.ToString());
    }

    [Fact]
    public void Of_a_device_that_is_not_there_any_more_it_says_so()
    {
        FaultyDevice faulty = new(_guard.Open());
        using PciDevice device = new(faulty);
        _watch.Start(device);
        faulty.Add(Fault.ReadsOnes(RegionIndex.Config, 0x0e));
        _guard.RequestBack();
        AwaitStop();
        Assert.Equal($"{device.Name} removed", _watch.Reason!.ToString());
    }

    [Fact]
    public void It_is_for_one_device()
    {
        using PciDevice device = new(_guard.Open());
        _watch.Start(device);
        Assert.Throws<InvalidOperationException>(() => _watch.Start(device));
    }

    [Fact]
    public void It_ends_with_nothing_said_of_a_device_that_was_released()
    {
        using (PciDevice device = new(_guard.Open()))
            _watch.Start(device);
        _guard.RequestBack();
        _watch.Dispose();
        Assert.Null(_watch.Reason);
    }

    public void Dispose()
    {
        _watch.Dispose();
        _guard.Dispose();
    }

    private void AwaitStop() => Assert.True(_watch.Stop.WaitHandle.WaitOne(HangGuard.Timeout));
}
