using Vfio.Native;
using Vfio.Native.Waiting;
using Vfio.Tests.Driver;

namespace Vfio.Tests.Native;

/// <summary>Looks at anything before a sleep, while that is of use.</summary>
public sealed class SpinnerTests
{
    [Fact]
    public void It_looks_until_it_is_found()
    {
        Spinner spinner = new(Timeout.InfiniteTimeSpan);
        Countdown target = new(looks: 100);
        Assert.True(spinner.IsWorthIt);
        Assert.True(spinner.TrySpin(ref target, Deadline.Never));
        Assert.Equal(0, target.Left);
    }

    [Fact]
    public void It_stops_when_the_deadline_has_passed_or_the_thread_is_requested()
    {
        Spinner spinner = new(Timeout.InfiniteTimeSpan);
        Countdown target = new(looks: int.MaxValue);
        Assert.True(spinner.TrySpin(ref target, new Deadline(TimeSpan.Zero)));
        Countdown wanted = new(looks: int.MaxValue) { IsInterrupted = true };
        Assert.False(spinner.TrySpin(ref wanted, Deadline.Never));
    }

    [Fact]
    public void It_sleeps_at_first_and_looks_when_sleeps_were_short()
    {
        Spinner spinner = new(TimeSpan.FromSeconds(1));
        Assert.False(spinner.IsWorthIt);
        for (int i = 0; i < 1000 && !spinner.IsWorthIt; i++)
            spinner.EndSleep(spinner.BeginSleep());
        Assert.True(spinner.IsWorthIt);
    }

    [Fact]
    public void Without_a_time_it_never_polls()
    {
        Spinner spinner = new(TimeSpan.Zero);
        for (int i = 0; i < 1000; i++)
            spinner.EndSleep(spinner.BeginSleep());
        Assert.False(spinner.IsWorthIt);
    }

    [Fact]
    public void Looking_allocates_nothing()
    {
        Spinner spinner = new(Timeout.InfiniteTimeSpan);
        Assert.Equal(0, Measure.Allocations(() =>
        {
            Countdown target = new(looks: 3);
            spinner.TrySpin(ref target, Deadline.Never);
        }));
    }

    private struct Countdown(int looks) : ISpinTarget
    {
        internal int Left { get; private set; } = looks;

        public bool IsInterrupted { get; set; }

        public bool TryFind() => --Left == 0;
    }
}
