using System.Text.Json;
using Vfio.Broker.Leases;
using Vfio.Broker.Policies;

namespace Vfio.Cli.Leases;

/// <summary>Prints what a policy means, for people and for machines.</summary>
internal static class PolicyPrinter
{
    /// <summary>What is wrong with a file, a line each.</summary>
    internal static void Print(TextWriter output, string path, IReadOnlyList<PolicyFault> faults)
    {
        foreach (PolicyFault fault in faults)
            output.WriteLine($"{path}:{fault.Line}:{fault.Column}: {fault.Reason}");
    }

    /// <summary>The same as a document.</summary>
    internal static void Write(Utf8JsonWriter json, string path, BrokerPolicy? policy, IReadOnlyList<PolicyFault> faults)
    {
        json.WriteStartObject();
        json.WriteString("policy", path);
        json.WriteBoolean("valid", policy is not null);
        if (policy is not null)
        {
            json.WriteNumber("devices", policy.Devices.Count);
            json.WriteNumber("rules", policy.Rules.Count);
        }

        json.WriteStartArray("faults");
        foreach (PolicyFault fault in faults)
        {
            json.WriteStartObject();
            json.WriteNumber("line", fault.Line);
            json.WriteNumber("column", fault.Column);
            json.WriteString("reason", fault.Reason);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>What a user would get.</summary>
    internal static void Print(TextWriter output, string user, string name, LeaseDecision decision)
    {
        if (decision.Error != Errno.None)
        {
            output.WriteLine($"{user} does not get {name}: {decision.Reason}");
            return;
        }

        output.WriteLine($"{user} gets {decision.Device!.Name} ({decision.Device.Address}) by rule '{decision.Rule!.Name}'");
        foreach ((string term, string value) in TermsOf(decision.Rule.Terms))
            output.WriteLine($"  {term,-12} {value}");
    }

    /// <summary>The same as a document.</summary>
    internal static void Write(Utf8JsonWriter json, string user, string name, LeaseDecision decision)
    {
        json.WriteStartObject();
        json.WriteString("user", user);
        json.WriteString("asked", name);
        json.WriteBoolean("given", decision.Error == Errno.None);
        json.WriteString("rule", decision.Rule?.Name);
        json.WriteString("device", decision.Device?.Name);
        json.WriteString("address", decision.Device?.Address);
        json.WriteString("reason", decision.Reason);
        if (decision is { Error: Errno.None, Rule: { } rule })
        {
            json.WriteStartObject("terms");
            foreach ((string term, string value) in TermsOf(rule.Terms))
                json.WriteString(term, value);
            json.WriteEndObject();
        }

        json.WriteEndObject();
    }

    private static IEnumerable<(string Term, string Value)> TermsOf(LeaseTerms terms)
    {
        yield return ("memory", terms.MemoryBytes is ulong bytes ? $"at most {bytes} bytes mapped" : "no limit");
        yield return ("mappings", $"at most {terms.Mappings ?? 65535}");
        yield return ("leaseTime", terms.LeaseTime is { } lease ? $"{LeasePrinter.Rough(lease)}" : "no limit");
        yield return ("idleTime", terms.IdleTime is { } idle ? $"{LeasePrinter.Rough(idle)}" : "no limit");
        yield return ("returnTime", $"{LeasePrinter.Rough(terms.ReturnTime)}");
        yield return ("holds", terms.Holds is int holds ? $"at most {holds} at a time" : "no limit");
        yield return ("configRules", $"{terms.ConfigRules.Count}");
        yield return ("direct", terms.IsDirect ? "yes: the kernel's own descriptors" : "no");
    }
}
