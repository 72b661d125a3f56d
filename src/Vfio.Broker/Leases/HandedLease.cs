using System.Text.Json;
using System.Text.Json.Serialization;
using Vfio.Broker.Policies;
using Vfio.Native.Waiting;

namespace Vfio.Broker.Leases;

/// <summary>A lease as one broker tells the next of it. The terms go with it: the next one's policy may be another.</summary>
internal sealed record HandedLease
{
    /// <summary>Bytes of the longest.</summary>
    internal const int MaxBytes = 1 << 20;

    public int Id { get; init; }

    public string Device { get; init; } = "";

    public string Address { get; init; } = "";

    public bool IsHeld { get; init; }

    public uint UserId { get; init; }

    public uint GroupId { get; init; }

    public IReadOnlyList<uint> Groups { get; init; } = [];

    public int ProcessId { get; init; }

    public string? Program { get; init; }

    public string Rule { get; init; } = "";

    public ulong? MemoryBytes { get; init; }

    public int? Mappings { get; init; }

    public TimeSpan? IdleTime { get; init; }

    public TimeSpan ReturnTime { get; init; }

    public bool IsDirect { get; init; }

    public IReadOnlyList<HandedConfigRule> ConfigRules { get; init; } = [];

    public DateTimeOffset Since { get; init; }

    public TimeSpan? Left { get; init; }

    public string? WantedBy { get; init; }

    /// <summary>Its bytes.</summary>
    internal static byte[] Write(Lease lease) => JsonSerializer.SerializeToUtf8Bytes(
        new HandedLease
        {
            Id = lease.Id,
            Device = lease.Device.Name,
            Address = lease.Device.Address,
            IsHeld = lease.IsHeld,
            UserId = lease.Holder.UserId,
            GroupId = lease.Holder.GroupId,
            Groups = lease.Holder.Groups,
            ProcessId = lease.Holder.ProcessId,
            Program = lease.Holder.Program,
            Rule = lease.Rule.Name,
            MemoryBytes = lease.Rule.Terms.MemoryBytes,
            Mappings = lease.Rule.Terms.Mappings,
            IdleTime = lease.Rule.Terms.IdleTime,
            ReturnTime = lease.Rule.Terms.ReturnTime,
            IsDirect = lease.Rule.Terms.IsDirect,
            ConfigRules = [.. lease.Rule.Terms.ConfigRules.Select(rule => new HandedConfigRule(rule.Offset, rule.Read, rule.Write))],
            Since = lease.Since,
            Left = lease.End.Remaining,
            WantedBy = lease.WantedBy,
        },
        HandedLeaseJson.Default.HandedLease);

    /// <summary>Reads it.</summary>
    /// <returns>Null when it is none.</returns>
    internal static HandedLease? Read(ReadOnlySpan<byte> bytes)
    {
        try
        {
            return JsonSerializer.Deserialize(bytes, HandedLeaseJson.Default.HandedLease);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>The lease, as this broker has it from now on.</summary>
    /// <param name="device">The device, by this broker's policy where that has it.</param>
    internal Lease Make(Candidate device)
    {
        LeaseTerms terms = new()
        {
            MemoryBytes = MemoryBytes,
            Mappings = Mappings,
            IdleTime = IdleTime,
            ReturnTime = ReturnTime,
            IsDirect = IsDirect,
            ConfigRules = [.. ConfigRules.Select(rule => new ConfigRule(rule.Offset, rule.Read, rule.Write))],
        };
        Caller holder = new(UserId, GroupId, Groups, ProcessId, Program);
        return new Lease(Id, device, holder, new PolicyRule(Rule, PolicyUsers.Nobody, [], false, terms), IsHeld)
        {
            Since = Since,
            End = new Deadline(Left ?? Timeout.InfiniteTimeSpan),
            WantedBy = WantedBy,
        };
    }
}

/// <summary>As <see cref="ConfigRule"/>.</summary>
internal sealed record HandedConfigRule(int Offset, uint Read, uint Write);

/// <summary>The records as bytes, without reflection.</summary>
[JsonSerializable(typeof(HandedLease))]
internal sealed partial class HandedLeaseJson : JsonSerializerContext;
