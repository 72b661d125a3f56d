using System.Text;
using Vfio.Broker;
using Vfio.Broker.Leases;
using Vfio.Broker.Policies;
using Vfio.Kernel;

namespace Vfio.Tests.Broker;

/// <summary>Who gets what by a policy, and why.</summary>
public sealed class LeaseDecisionTests
{
    private const string Policy = """
        {
          "devices": {
            "a": { "address": "model:edu", "pool": "p", "labels": ["x"] },
            "b": { "address": "model:bench", "pool": "p" },
            "c": { "address": "unix:/run/c.sock" },
          },
          "rules": [
            { "name": "not-b", "users": [1003], "devices": ["b"], "refuse": true },
            { "name": "one", "users": [1001], "devices": ["label:x"], "holds": 1 },
            { "name": "pool", "users": [1002, 1003], "groups": [50], "devices": ["p"] },
            { "name": "bench", "users": [1004], "devices": ["model:bench"] },
            { "name": "all", "users": [1005], "devices": ["*"] },
          ],
        }
        """;

    private static readonly BrokerPolicy Read = PolicyReader.Read(Encoding.UTF8.GetBytes(Policy), out _)!;

    [Theory]
    [InlineData(1001u, "a", Errno.None, "one", "a")]
    [InlineData(1001u, "b", Errno.AccessDenied, null, null)]
    [InlineData(1001u, "p", Errno.None, "one", "a")]
    [InlineData(1002u, "p", Errno.None, "pool", "a")]
    [InlineData(1002u, "c", Errno.AccessDenied, null, null)]
    [InlineData(1003u, "b", Errno.AccessDenied, "not-b", "b")]
    [InlineData(1003u, "p", Errno.None, "pool", "a")]
    [InlineData(1004u, "p", Errno.None, "bench", "b")]
    [InlineData(1005u, "c", Errno.None, "all", "c")]
    [InlineData(1006u, "a", Errno.AccessDenied, null, null)]
    [InlineData(1005u, "d", Errno.NoEntry, null, null)]
    [InlineData(1005u, "0000:01:00.0", Errno.NoEntry, null, null)]
    [InlineData(1005u, "../a", Errno.NoEntry, null, null)]
    public void The_first_rule_that_fits_decides(uint user, string name, Errno error, string? rule, string? device)
    {
        LeaseDecision decision = Decide(new Caller(user, user, [], 1, null), name, busy: [], held: 0);
        Assert.Equal((error, rule, device), (decision.Error, decision.Rule?.Name, decision.Device?.Name));
        Assert.Equal(error == Errno.None, decision.Reason is null);
    }

    [Fact]
    public void Groups_count_whether_own_or_others()
    {
        Assert.Equal(Errno.None, Decide(new Caller(7, 50, [], 1, null), "a", [], 0).Error);
        Assert.Equal(Errno.None, Decide(new Caller(7, 7, [49, 50], 1, null), "a", [], 0).Error);
        Assert.Equal(Errno.AccessDenied, Decide(new Caller(50, 7, [49], 1, null), "a", [], 0).Error);
    }

    [Fact]
    public void Of_a_pool_any_free_member_is_given_and_a_device_has_one_holder()
    {
        Caller caller = new(1002, 1002, [], 1, null);
        Assert.Equal("b", Decide(caller, "p", ["a"], 0).Device!.Name);
        LeaseDecision full = Decide(caller, "p", ["a", "b"], 0);
        Assert.Equal(Errno.Busy, full.Error);
        Assert.Contains("somebody", full.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_user_has_no_more_than_the_rule_gives()
    {
        LeaseDecision decision = Decide(new Caller(1001, 1001, [], 1, null), "a", [], held: 1);
        Assert.Equal(Errno.OperationNotPermitted, decision.Error);
    }

    private static LeaseDecision Decide(Caller caller, string name, string[] busy, int held) => LeaseDecision.Of(
        Read, caller, name, new DeviceFinder(new PciTopology("/nonexistent")).Find(Read, name),
        device => busy.Contains(device.Name) ? "somebody has it" : null, _ => held);
}
