using Vfio.Native;
using Vfio.Native.Waiting;

namespace Vfio.Tests.Native;

/// <summary>When a side looks for bytes before it sleeps.</summary>
public sealed class SpinBudgetTests
{
    private readonly SpinBudget _budget = new();

    [Fact]
    public void Long_sleeps_never_lead_to_a_trial()
    {
        for (int i = 0; i < 10_000; i++)
            _budget.Slept(isShort: false);
        Assert.False(_budget.ShouldSpin);
    }

    [Fact]
    public void Short_sleeps_lead_to_a_trial_and_gains_keep_it_going()
    {
        Assert.InRange(SleepsUntilTrial(), 2, 100);
        for (int i = 0; i < 1000; i++)
        {
            _budget.Gained();
            Assert.True(_budget.ShouldSpin);
        }
    }

    [Fact]
    public void Pauses_of_a_peer_that_is_worth_it_do_not_end_it()
    {
        SleepsUntilTrial();
        for (int burst = 0; burst < 100; burst++)
        {
            for (int i = 0; i < 4; i++)
                _budget.Gained();
            _budget.Missed();
            Assert.True(_budget.ShouldSpin);
        }
    }

    [Fact]
    public void A_peer_that_stays_away_ends_it_soon()
    {
        SleepsUntilTrial();
        for (int i = 0; i < 1000; i++)
            _budget.Gained();
        int misses = 0;
        for (; _budget.ShouldSpin; misses++)
            _budget.Missed();
        Assert.InRange(misses, 1, 20);
    }

    [Fact]
    public void Trials_that_bring_nothing_become_rare_and_one_that_does_makes_them_frequent_again()
    {
        int first = SleepsUntilTrial();
        _budget.Missed();
        int second = SleepsUntilTrial();
        _budget.Missed();
        int third = SleepsUntilTrial();
        Assert.True(second > 4 * first && third > 4 * second, $"trials after {first}, {second} and {third} sleeps");
        _budget.Gained();
        _budget.Missed();
        Assert.Equal(first, SleepsUntilTrial());
    }

    [Fact]
    public void On_a_shared_core_fewer_than_one_in_a_thousand_waits_are_trials()
    {
        int trials = 0;
        for (int i = 0; i < 100_000; i++)
        {
            if (_budget.ShouldSpin)
            {
                trials++;
                _budget.Missed();
            }

            _budget.Slept(isShort: true);
        }

        Assert.InRange(trials, 1, 100);
    }

    private int SleepsUntilTrial()
    {
        int sleeps = 0;
        for (; !_budget.ShouldSpin; sleeps++)
            _budget.Slept(isShort: true);
        return sleeps;
    }
}
