using System.Globalization;
using Vfio.Kernel;

namespace Vfio.Broker.Policies;

/// <summary>Who may have which device, on which terms: a policy that was read and is valid. Immutable.</summary>
/// <param name="Devices">The devices that can be had, by name.</param>
/// <param name="Rules">The rules, in the order of the file: the first that fits decides.</param>
/// <param name="Administrators">Who may see and revoke every lease, beside root and the broker's own user.</param>
internal sealed record BrokerPolicy(
    IReadOnlyDictionary<string, PolicyDevice> Devices, IReadOnlyList<PolicyRule> Rules, PolicyUsers Administrators)
{
    /// <summary>Nothing for anybody.</summary>
    internal static BrokerPolicy Empty { get; } = new(new Dictionary<string, PolicyDevice>(), [], PolicyUsers.Nobody);

    /// <summary>The rule that decides whether a user gets a device.</summary>
    /// <returns>Null when no rule fits: refused.</returns>
    internal PolicyRule? Find(Caller caller, Candidate device) =>
        Rules.FirstOrDefault(rule => rule.Users.Contains(caller) && rule.Devices.Any(selector => selector.Fits(device)));
}

/// <summary>An entry of the policy's devices: one device, or all functions of this machine that match.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Address">The device's address; null for <paramref name="Match"/>.</param>
/// <param name="Match">Which functions; null for <paramref name="Address"/>.</param>
/// <param name="Pool">A name that several entries share; null for none.</param>
/// <param name="Labels">Words for rules to refer to.</param>
internal sealed record PolicyDevice(string Name, string? Address, FunctionMatch? Match, string? Pool, IReadOnlyList<string> Labels);

/// <summary>A device that a name leads to.</summary>
/// <param name="Entry">The entry of the policy that has it.</param>
/// <param name="Name">What it is called: the entry's name, or the function's address where the entry matches several.</param>
/// <param name="Address">Its address.</param>
/// <param name="Function">The function of this machine; null for another kind of device, or where it is not there.</param>
internal sealed record Candidate(PolicyDevice Entry, string Name, string Address, MatchFacts? Function)
{
    /// <summary>An address without how it is opened: a function is one device, with a guard and without.</summary>
    internal static string PlaceOf(string address) => address.Split('?')[0];
}

/// <summary>What rules can refer to of a function of this machine.</summary>
/// <param name="Ids">Vendor and device: <c>8086:10ca</c>.</param>
/// <param name="Class">Class code: <c>020000</c>.</param>
/// <param name="Driver">The driver that is bound to it; null for none.</param>
/// <param name="Group">Its IOMMU group; null without an IOMMU.</param>
internal sealed record MatchFacts(string Ids, string Class, string? Driver, string? Group)
{
    /// <summary>Reads them of a function.</summary>
    /// <exception cref="VfioException">It was removed meanwhile.</exception>
    internal static MatchFacts Of(KernelFunction function) => new(
        $"{function.VendorId:x4}:{function.DeviceId:x4}", function.ClassCode.ToString("x6", CultureInfo.InvariantCulture), function.Driver,
        function.IommuGroup);
}

/// <summary>Which functions of this machine an entry means: those with all of these.</summary>
/// <param name="Driver">The driver; null for any.</param>
/// <param name="Ids">The start of the ids; null for any.</param>
/// <param name="Class">The start of the class code; null for any.</param>
/// <param name="Group">The IOMMU group; null for any.</param>
internal sealed record FunctionMatch(string? Driver, string? Ids, string? Class, string? Group)
{
    /// <summary>Whether it means a function.</summary>
    internal bool Fits(MatchFacts facts) =>
        (Driver is null || Driver == facts.Driver)
        && (Ids is null || facts.Ids.StartsWith(Ids, StringComparison.Ordinal))
        && (Class is null || facts.Class.StartsWith(Class, StringComparison.Ordinal))
        && (Group is null || Group == facts.Group);
}

/// <summary>Users and groups, by number.</summary>
/// <param name="Users">Users.</param>
/// <param name="Groups">Groups.</param>
/// <param name="IsEverybody">Whether it is all users.</param>
internal sealed record PolicyUsers(IReadOnlySet<uint> Users, IReadOnlySet<uint> Groups, bool IsEverybody)
{
    internal static PolicyUsers Nobody { get; } = new(new HashSet<uint>(), new HashSet<uint>(), false);

    /// <summary>Whether a caller is among them, by what the kernel knows of it.</summary>
    internal bool Contains(Caller caller) =>
        IsEverybody || Users.Contains(caller.UserId) || Groups.Contains(caller.GroupId) || caller.Groups.Any(Groups.Contains);
}

/// <summary>A rule.</summary>
/// <param name="Name">Its name, for the audit.</param>
/// <param name="Users">Whom it is about.</param>
/// <param name="Devices">Which devices it is about: any of these.</param>
/// <param name="IsRefusal">Whether it refuses what it is about.</param>
/// <param name="Terms">On which terms it gives.</param>
internal sealed record PolicyRule(
    string Name, PolicyUsers Users, IReadOnlyList<DeviceSelector> Devices, bool IsRefusal, LeaseTerms Terms);

/// <summary>On which terms a device is given.</summary>
internal sealed record LeaseTerms
{
    /// <summary>The most bytes that may be mapped at a time; null for no limit.</summary>
    internal ulong? MemoryBytes { get; init; }

    /// <summary>The most mappings at a time; null for the protocol's limit of 65535.</summary>
    internal int? Mappings { get; init; }

    /// <summary>How long it is given for; null for no limit.</summary>
    internal TimeSpan? LeaseTime { get; init; }

    /// <summary>How long it may be unused: no message, no memory mapped, no interrupt bound; null for no limit.</summary>
    internal TimeSpan? IdleTime { get; init; }

    /// <summary>How long its holder has to give it back when it is wanted; zero for no time.</summary>
    internal TimeSpan ReturnTime { get; init; }

    /// <summary>How many devices a user may have by this rule at a time; null for no limit.</summary>
    internal int? Holds { get; init; }

    /// <summary>Whether its user gets the kernel's own descriptors of a function of this machine, in place of a connection.</summary>
    internal bool IsDirect { get; init; }

    /// <summary>What its user may read and write in config space beyond what the tables allow.</summary>
    internal IReadOnlyList<ConfigRule> ConfigRules { get; init; } = [];
}

/// <summary>Bits of a dword of config space.</summary>
/// <param name="Offset">Its offset in bytes, a multiple of 4.</param>
/// <param name="Read">The bits that may be read.</param>
/// <param name="Write">The bits that may be written.</param>
internal readonly record struct ConfigRule(int Offset, uint Read, uint Write);

/// <summary>Which devices a rule is about.</summary>
/// <param name="Kind">What of the device is compared.</param>
/// <param name="Value">With what.</param>
internal readonly record struct DeviceSelector(SelectorKind Kind, string Value)
{
    /// <summary>Whether it means a device.</summary>
    internal bool Fits(Candidate device) => Kind switch
    {
        SelectorKind.All => true,
        SelectorKind.Name => device.Name == Value || device.Entry.Name == Value || device.Entry.Pool == Value,
        SelectorKind.Address => Candidate.PlaceOf(device.Address) == Value,
        SelectorKind.Label => device.Entry.Labels.Contains(Value),
        SelectorKind.Model => ModelOf(device.Address) == Value,
        SelectorKind.Ids => device.Function?.Ids.StartsWith(Value, StringComparison.Ordinal) == true,
        SelectorKind.Class => device.Function?.Class.StartsWith(Value, StringComparison.Ordinal) == true,
        SelectorKind.Driver => device.Function?.Driver == Value,
        SelectorKind.Group => device.Function?.Group == Value,
        _ => false,
    };

    private static string? ModelOf(string address) =>
        address.StartsWith("model:", StringComparison.Ordinal) ? address[6..].Split('?')[0] : null;
}

/// <summary>What of a device a rule compares.</summary>
internal enum SelectorKind
{
    /// <summary>Nothing: every device.</summary>
    All,

    /// <summary>The name of its entry, its own name, or its pool.</summary>
    Name,

    /// <summary>Its address.</summary>
    Address,

    /// <summary>A label of its entry.</summary>
    Label,

    /// <summary>The name of the model.</summary>
    Model,

    /// <summary>The start of vendor and device.</summary>
    Ids,

    /// <summary>The start of the class code.</summary>
    Class,

    /// <summary>The driver that is bound to it.</summary>
    Driver,

    /// <summary>Its IOMMU group.</summary>
    Group,
}
