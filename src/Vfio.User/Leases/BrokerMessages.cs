using System.Text.Json;
using System.Text.Json.Serialization;

namespace Vfio.User.Leases;

/// <summary>What is asked of a broker: one line of JSON. Which members count depends on <see cref="Do"/>; others are errors.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record BrokerRequest
{
    /// <summary>One of <see cref="BrokerVerbs"/>.</summary>
    public string? Do { get; init; }

    /// <summary>For open, hold: which device: its name, its pool or its address.</summary>
    public string? Name { get; init; }

    /// <summary>For revoke: which lease.</summary>
    public int? Lease { get; init; }

    /// <summary>For leases: only those with a greater number.</summary>
    public int? After { get; init; }

    /// <summary>For revoke: at once, without the time that the policy gives to the holder.</summary>
    public bool? Now { get; init; }
}

/// <summary>The verbs of a request.</summary>
internal static class BrokerVerbs
{
    /// <summary>A lease that ends with its connection to the device, which the reply has as a descriptor.</summary>
    internal const string Open = "open";

    /// <summary>A lease that ends with this connection. Meanwhile the same user may open the device, repeatedly.</summary>
    internal const string Hold = "hold";

    /// <summary>On the connection of a hold: with a UNIX socket that listens as its descriptor, whose clients get the device, one after the
    /// other.</summary>
    internal const string Listen = "listen";

    /// <summary>Which leases there are.</summary>
    internal const string Leases = "leases";

    /// <summary>End a lease.</summary>
    internal const string Revoke = "revoke";
}

/// <summary>What a broker answers, or notifies a holder of: one line of JSON. A refusal has <see cref="Errno"/> and
/// <see cref="Reason"/>.</summary>
internal sealed record BrokerReply
{
    /// <summary>Why it was refused, as the kernel's number; null or 0 for no refusal.</summary>
    public int? Errno { get; init; }

    /// <summary>Why, as a text of one line; also what to do.</summary>
    public string? Reason { get; init; }

    /// <summary>The lease that was given.</summary>
    public LeaseRecord? Lease { get; init; }

    /// <summary>Of a direct lease: <c>group</c> or <c>cdev</c>. Over the connection that comes with this reply, one byte follows with the
    /// descriptors of the device and of its address space (a container, or an iommufd).</summary>
    public string? Direct { get; init; }

    /// <summary>Leases, by number.</summary>
    public IReadOnlyList<LeaseRecord>? Leases { get; init; }

    /// <summary>Whether there are more after them.</summary>
    public bool? More { get; init; }

    /// <summary>To a holder, unasked: one of <see cref="BrokerEvents"/>.</summary>
    public string? Event { get; init; }

    /// <summary>With <see cref="BrokerEvents.Wanted"/>: how many seconds the holder has.</summary>
    public double? Within { get; init; }
}

/// <summary>What a holder is notified of.</summary>
internal static class BrokerEvents
{
    /// <summary>The device is wanted back within a time.</summary>
    internal const string Wanted = "wanted";

    /// <summary>The lease has ended, for <see cref="BrokerReply.Reason"/>.</summary>
    internal const string Ended = "ended";

    /// <summary>The policy was changed, and would not give this lease again. It goes on.</summary>
    internal const string PolicyChanged = "policyChanged";
}

/// <summary>A lease, for people and machines.</summary>
internal sealed record LeaseRecord
{
    /// <summary>Its number; a broker gives each one once.</summary>
    public int Id { get; init; }

    /// <summary>The device's name in the policy.</summary>
    public string Device { get; init; } = "";

    /// <summary>The device's address.</summary>
    public string Address { get; init; } = "";

    /// <summary>Who holds it: the number of the user.</summary>
    public uint UserId { get; init; }

    /// <summary>The user's name.</summary>
    public string User { get; init; } = "";

    /// <summary>The process that asked.</summary>
    public int ProcessId { get; init; }

    /// <summary>The program of that process; null where the broker may not know.</summary>
    public string? Program { get; init; }

    /// <summary>The rule of the policy that gave it.</summary>
    public string Rule { get; init; } = "";

    /// <summary>Since when.</summary>
    public DateTimeOffset Since { get; init; }

    /// <summary>Until when, by the policy; null for no limit.</summary>
    public DateTimeOffset? Until { get; init; }

    /// <summary>Whether it is held without the device being open: see <see cref="BrokerVerbs.Hold"/>.</summary>
    public bool IsHeld { get; init; }

    /// <summary>Whether its user has the kernel's own descriptors.</summary>
    public bool IsDirect { get; init; }

    /// <summary><c>opening</c>, <c>open</c>, <c>held</c> or <c>ending</c>.</summary>
    public string State { get; init; } = "";
}

/// <summary>The messages as bytes, without reflection.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(BrokerRequest))]
[JsonSerializable(typeof(BrokerReply))]
internal sealed partial class BrokerJson : JsonSerializerContext
{
    /// <summary>The bytes of a request, with the end of its line.</summary>
    internal static byte[] Line(BrokerRequest request) => [.. JsonSerializer.SerializeToUtf8Bytes(request, Default.BrokerRequest), (byte)'\n'];

    /// <summary>The bytes of a reply, with the end of its line.</summary>
    internal static byte[] Line(BrokerReply reply) => [.. JsonSerializer.SerializeToUtf8Bytes(reply, Default.BrokerReply), (byte)'\n'];

    /// <summary>Reads a request.</summary>
    /// <returns>Null when it is none.</returns>
    internal static BrokerRequest? ReadRequest(ReadOnlySpan<byte> line)
    {
        try
        {
            return JsonSerializer.Deserialize(line, Default.BrokerRequest);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Reads a reply.</summary>
    /// <returns>Null when it is none.</returns>
    internal static BrokerReply? ReadReply(ReadOnlySpan<byte> line)
    {
        try
        {
            return JsonSerializer.Deserialize(line, Default.BrokerReply);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
