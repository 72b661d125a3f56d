using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.Tests.Native;

/// <summary>When a thread leaves the core to the thread that wakes it.</summary>
public sealed class WakeupPolicyTests
{
    private const int Busy = 100;
    private readonly WakeupPolicy _wakes = new();
    private long _tick;

    [Fact]
    public void A_peer_that_sends_one_request_after_another_soon_gets_the_core() => Assert.InRange(TicksUntilTrial(1000), 2, 20);

    [Fact]
    public void A_peer_that_sends_requests_rarely_does_not()
    {
        for (int i = 0; i < 10_000; i++)
            Tick(wakes: 1);
        Assert.False(_wakes.ShouldDefer);
    }

    [Fact]
    public void A_single_busy_tick_is_no_reason()
    {
        for (int i = 0; i < 1000; i++)
        {
            Tick(Busy);
            Tick(wakes: 1);
            Assert.False(_wakes.ShouldDefer);
        }
    }

    [Fact]
    public void A_tick_without_wakes_ends_it_and_returns_that()
    {
        TicksUntilTrial(1000);
        Assert.True(Tick(wakes: 1) || Tick(wakes: 1));
        Assert.False(_wakes.ShouldDefer);
    }

    [Fact]
    public void Where_it_costs_trials_become_rare()
    {
        // A program that never sleeps: busy while not deferred to, and stuck at once otherwise.
        int stuck = 0;
        for (int i = 0; i < 100_000; i++)
        {
            bool isStuck = _wakes.ShouldDefer;
            stuck += isStuck ? 1 : 0;
            Tick(isStuck ? 1 : Busy);
        }

        Assert.InRange(stuck, 1, 100);
    }

    [Fact]
    public void Pauses_of_a_peer_that_gained_for_long_do_not_make_trials_rare()
    {
        for (int round = 0; round < 20; round++)
        {
            Assert.InRange(TicksUntilTrial(1000), 1, 20);
            for (int i = 0; i < 200; i++)
                Tick(Busy);
            Tick(wakes: 1);
        }
    }

    private int TicksUntilTrial(int atMost)
    {
        for (int ticks = 1; ticks <= atMost; ticks++)
        {
            Tick(Busy);
            if (_wakes.ShouldDefer)
                return ticks;
        }

        return int.MaxValue;
    }

    private bool Tick(int wakes)
    {
        _tick++;
        bool isChanged = false;
        for (int i = 0; i < wakes; i++)
            isChanged |= _wakes.Woken(_tick);
        return isChanged;
    }
}
