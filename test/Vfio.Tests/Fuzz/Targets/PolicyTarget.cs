using Vfio.Broker.Policies;

namespace Vfio.Tests.Fuzz.Targets;

/// <summary>Policies of a broker: whatever they are, either a policy or faults with their places.</summary>
internal static class PolicyTarget
{
    public static void Run(byte[] bytes)
    {
        BrokerPolicy? policy = PolicyReader.Read(bytes, out IReadOnlyList<PolicyFault> faults);
        if (policy is null == (faults.Count == 0))
            throw new InvalidOperationException($"{faults.Count} faults, and {(policy is null ? "no" : "a")} policy");
        foreach (PolicyFault fault in faults)
        {
            if (fault.Line < 1 || fault.Column < 1)
                throw new InvalidOperationException($"{fault} is nowhere");
        }
    }
}
