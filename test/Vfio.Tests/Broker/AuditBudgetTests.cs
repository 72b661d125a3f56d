using Vfio.Broker.Audit;

namespace Vfio.Tests.Broker;

/// <summary>How many lines of a user the audit has.</summary>
public sealed class AuditBudgetTests
{
    private const uint Mallory = 1000, FirstSubUser = 100_000;

    [Fact]
    public void What_a_user_has_spent_is_not_forgotten_for_the_sake_of_ten_thousand_others()
    {
        AuditBudget budget = new(burst: 3);
        for (int i = 0; i < 3; i++)
            Assert.True(budget.TryTake(Mallory, out _, out _));
        int written = 0;
        for (uint user = FirstSubUser; user < FirstSubUser + 10_000; user++)
            written += budget.TryTake(user, out _, out _) ? 1 : 0;

        // 4,096 users are counted one by one; the rest share a budget, of which a line a second comes back.
        Assert.InRange(written, 4_000, 4_300);
        Assert.False(budget.TryTake(Mallory, out _, out _));
        (uint user, int missed)[] left = [.. budget.TakeMissed()];
        Assert.Contains((Mallory, 1), left);
        Assert.Equal(10_000 - written + 1, left.Sum(one => one.missed));
    }

    [Fact]
    public void Users_who_have_spent_nothing_lately_make_room()
    {
        AuditBudget budget = new(burst: 1);
        for (uint user = 0; user < 4096; user++)
            Assert.True(budget.TryTake(user, out _, out _));
        Assert.True(SpinWait.SpinUntil(() => budget.TryTake(FirstSubUser, out _, out _) && budget.TryTake(FirstSubUser + 1, out _, out _), HangGuard.Timeout));
    }
}
