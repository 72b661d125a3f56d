using Vfio.Broker.Policies;

namespace Vfio.Broker.Leases;

/// <summary>Whether a user gets a device, and why.</summary>
/// <param name="Error">Why not; <see cref="Errno.None"/> for yes.</param>
/// <param name="Reason">Why not, in words; null for yes.</param>
/// <param name="Device">Which device; null for no.</param>
/// <param name="Rule">The rule that decided; null when none fits.</param>
internal readonly record struct LeaseDecision(Errno Error, string? Reason, Candidate? Device, PolicyRule? Rule)
{
    /// <summary>Decides by the policy and by who has what.</summary>
    /// <param name="policy">The policy.</param>
    /// <param name="caller">Who asks.</param>
    /// <param name="name">What was asked for.</param>
    /// <param name="devices">The devices of that name.</param>
    /// <param name="holderOf">Says who has a device: null for nobody.</param>
    /// <param name="countOf">How many devices the caller has by a rule.</param>
    internal static LeaseDecision Of(
        BrokerPolicy policy, Caller caller, string name, IReadOnlyList<Candidate> devices, Func<Candidate, string?> holderOf, Func<PolicyRule, int> countOf)
    {
        if (devices.Count == 0)
            return new(Errno.NoEntry, policy.Devices.ContainsKey(name) ? "no function of this machine matches it" : "the policy has no device or pool of this name", null, null);
        LeaseDecision refusal = new(Errno.AccessDenied, $"no rule of the policy gives it to user {caller.UserId}", null, null);
        foreach (Candidate device in devices)
        {
            PolicyRule? rule = policy.Find(caller, device);
            if (rule is null)
                continue;
            if (rule.IsRefusal)
            {
                // A device that somebody else has is nearer to a yes than one that is refused.
                if (refusal.Error == Errno.AccessDenied)
                    refusal = new(Errno.AccessDenied, $"the policy's rule '{rule.Name}' refuses it", device, rule);
            }
            else if (holderOf(device) is { } holder)
            {
                if (refusal.Error != Errno.OperationNotPermitted)
                    refusal = new(Errno.Busy, holder, device, rule);
            }
            else if (rule.Terms.Holds is int most && countOf(rule) >= most)
            {
                refusal = new(Errno.OperationNotPermitted, $"rule '{rule.Name}' gives {most} at a time, and this user has {most}", device, rule);
            }
            else
            {
                return new(Errno.None, null, device, rule);
            }
        }

        return refusal;
    }
}
