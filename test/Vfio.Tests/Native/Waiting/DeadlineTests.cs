using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.Tests.Native;

/// <summary>A moment or never, made of any time there is.</summary>
public sealed class DeadlineTests
{
    [Fact]
    public void An_infinite_time_never_passes()
    {
        Deadline never = new(Timeout.InfiniteTimeSpan);
        Assert.True(never.IsNever);
        Assert.False(never.HasPassed);
        Assert.Equal(Timeout.InfiniteTimeSpan, never.Left);
        Assert.True(Deadline.Never.IsNever);
    }

    [Fact]
    public void No_time_has_passed_at_once()
    {
        Deadline now = new(TimeSpan.Zero);
        Assert.True(now.HasPassed);
        Assert.Equal(TimeSpan.Zero, now.Left);
    }

    [Fact]
    public void Every_wait_accepts_what_is_left_of_the_longest_time()
    {
        Deadline far = new(TimeSpan.MaxValue);
        Assert.False(far.IsNever);
        Assert.False(far.HasPassed);
        Assert.Equal(int.MaxValue, far.Left.TotalMilliseconds);
        using Timer taken = new(_ => { });
        Assert.True(taken.Change(far.Left, Timeout.InfiniteTimeSpan));
    }

    [Fact]
    public void A_part_of_a_millisecond_is_not_cut_off()
    {
        Deadline soon = new(TimeSpan.FromTicks(1));
        Assert.True(SpinWait.SpinUntil(() => soon.HasPassed, HangGuard.Timeout));
        Assert.InRange(new Deadline(TimeSpan.FromHours(1) + TimeSpan.FromTicks(1)).Left, TimeSpan.FromMinutes(1), TimeSpan.FromHours(2));
    }

    [Fact]
    public void The_earlier_of_two_is_taken()
    {
        Deadline soon = new(TimeSpan.Zero), late = new(TimeSpan.FromDays(1));
        Assert.True(Deadline.Earlier(soon, late).HasPassed);
        Assert.True(Deadline.Earlier(Deadline.Never, soon).HasPassed);
        Assert.False(Deadline.Earlier(late, Deadline.Never).IsNever);
        Assert.True(Deadline.Earlier(Deadline.Never, Deadline.Never).IsNever);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(-TimeSpan.TicksPerMillisecond + 1)]
    [InlineData(-TimeSpan.TicksPerMillisecond - 1)]
    [InlineData(-TimeSpan.TicksPerDay)]
    [InlineData(long.MinValue)]
    public void Any_other_time_below_zero_is_refused_and_the_message_has_the_range(long ticks)
    {
        TimeSpan grace = TimeSpan.FromTicks(ticks);
        ArgumentOutOfRangeException refusal = Assert.Throws<ArgumentOutOfRangeException>(() => new Deadline(grace));
        Assert.Equal("grace", refusal.ParamName);
        Assert.Equal(grace, refusal.ActualValue);
        Assert.Contains("zero", refusal.Message);
        Assert.Contains("InfiniteTimeSpan", refusal.Message);
    }
}
