using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.Tests.Native;

/// <summary>A wait that ends when its time is over or the device died.</summary>
public sealed class LivenessWaitTests : ILiveness
{
    private int _checks;
    private bool _isDead;

    [Fact]
    public void It_is_over_when_its_time_is_and_no_check_is_needed_for_that()
    {
        LivenessWait wait = new(this, "wait");
        wait.Begin(TimeSpan.Zero);
        Assert.True(wait.IsOver());
        Assert.Equal(TimeSpan.Zero, wait.SleepTime);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(long.MaxValue)]
    public void A_wait_without_a_timeout_continues_while_the_device_is_present_and_ends_when_it_is_removed(long milliseconds)
    {
        TimeSpan timeout = milliseconds < 0 ? Timeout.InfiniteTimeSpan : TimeSpan.MaxValue;
        LivenessWait wait = new(this, "wait");
        wait.Begin(timeout);
        while (_checks < 2)
        {
            Assert.False(wait.IsOver());
            Assert.InRange(wait.SleepTime, TimeSpan.Zero, LivenessWait.CheckInterval);
            wait.SpinOnce();
        }

        _isDead = true;
        Assert.Equal(Errno.NoDevice, Assert.Throws<VfioException>(() =>
        {
            while (!wait.IsOver())
                wait.SpinOnce();
        }).Errno);
    }

    [Fact]
    public void Many_short_waits_find_a_dead_device_as_one_long_one_does()
    {
        _isDead = true;
        LivenessWait wait = new(this, "wait");
        Assert.Equal(Errno.NoDevice, Assert.Throws<VfioException>(() =>
        {
            do
            {
                wait.Begin(TimeSpan.Zero);
            }
            while (wait.IsOver());
        }).Errno);
    }

    void ILiveness.ThrowIfDead(string operation)
    {
        _checks++;
        if (_isDead)
            throw new VfioException(operation, "a device", Errno.NoDevice, "it is gone");
    }
}
