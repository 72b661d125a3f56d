using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.Tests.Native;

/// <summary>Sleeps that an eventfd ends, whose counter they leave alone.</summary>
public sealed class EventSleepTests
{
    private static readonly TimeSpan Never = TimeSpan.FromHours(1);

    [Fact]
    public void A_signal_that_came_before_ends_a_sleep_and_stays_in_the_counter()
    {
        using EventFd signal = EventFd.Create();
        using EventSleep sleep = new(signal, Never);
        signal.Signal();
        signal.Signal();
        Assert.True(sleep.Sleep());
        Assert.Equal(2ul, signal.Drain());
    }

    [Fact]
    public void Each_signal_ends_a_sleep_though_the_counter_is_not_read()
    {
        using EventFd signal = EventFd.Create();
        using EventSleep sleep = new(signal, Never);
        for (int i = 0; i < 3; i++)
        {
            signal.Signal();
            Assert.True(sleep.Sleep());
        }

        Assert.Equal(3ul, signal.Drain());
    }

    [Fact]
    public async Task A_signal_of_another_thread_ends_a_sleep()
    {
        using EventFd signal = EventFd.Create();
        using EventSleep sleep = new(signal, Never);

        // A thread that hangs must not hang the tests.
        Task<bool> sleeping = Task.Factory.StartNew(sleep.Sleep, TaskCreationOptions.LongRunning);
        signal.Signal();
        Assert.True(await sleeping.WaitAsync(HangGuard.Timeout));
    }

    [Fact]
    public async Task A_signal_that_ended_a_sleep_ends_no_second_one_but_timer_ticks_end_each()
    {
        using EventFd signal = EventFd.Create();
        using EventSleep sleep = new(signal, TimeSpan.FromMilliseconds(20));
        signal.Signal();
        Task<int> sleeping = Task.Factory.StartNew(
            () =>
            {
                while (!sleep.Sleep())
                    continue;
                int moments = 0;
                while (moments < 3)
                    moments += sleep.Sleep() ? 100 : 1;
                return moments;
            },
            TaskCreationOptions.LongRunning);
        Assert.Equal(3, await sleeping.WaitAsync(HangGuard.Timeout));
    }

    [Fact]
    public void A_counter_that_was_read_meanwhile_ends_no_sleep()
    {
        using EventFd signal = EventFd.Create();
        using EventSleep sleep = new(signal, TimeSpan.FromMilliseconds(20));
        signal.Signal();
        signal.Drain();
        Assert.False(sleep.Sleep());
    }

    [Fact]
    public void The_eventfd_may_be_disposed_first()
    {
        EventFd signal = EventFd.Create();
        using EventSleep sleep = new(signal, Never);
        signal.Signal();
        signal.Dispose();
        Assert.True(sleep.Sleep());
    }
}
