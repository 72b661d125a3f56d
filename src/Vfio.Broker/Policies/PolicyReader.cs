using System.Globalization;
using System.Text.Json;
using Vfio.Devices;
using Vfio.Native;
using Vfio.Pci;

namespace Vfio.Broker.Policies;

/// <summary>Reads a policy: everything in it is known and valid, or all that is wrong is reported, each with its place.</summary>
internal sealed class PolicyReader
{
    /// <summary>The members of each object, as the published schema has them.</summary>
    internal static readonly string[]
        TopMembers = ["$schema", "devices", "rules", "administrators"],
        DeviceMembers = ["address", "match", "pool", "labels"],
        MatchMembers = ["driver", "ids", "class", "group"],
        RuleMembers =
        [
            "name", "users", "groups", "devices", "refuse", "memory", "mappings", "leaseTime", "idleTime", "returnTime", "holds", "configRules", "direct",
        ],
        UsersMembers = ["users", "groups"],
        ConfigRuleMembers = ["offset", "read", "write"];

    // What only somebody between the user and the kernel can see to.
    private static readonly string[] NotDirect = ["memory", "mappings", "idleTime", "configRules"];

    // More are a mistake, or slow every decision.
    private const int MaxItems = 4096, MaxNameLength = 64, MaxMappings = 65535, ConfigBytes = 4096;
    private readonly byte[] _json;
    private readonly List<PolicyFault> _faults = [];
    private readonly Dictionary<string, PolicyDevice> _devices = new(StringComparer.Ordinal);
    private readonly HashSet<string> _pools = new(StringComparer.Ordinal);
    private readonly HashSet<string> _labels = new(StringComparer.Ordinal);

    private PolicyReader(byte[] json) => _json = json;

    /// <summary>Reads a policy.</summary>
    /// <param name="json">Its text.</param>
    /// <param name="faults">All that is wrong, in the order of the text; empty when the result is a policy.</param>
    /// <returns>Null when anything is wrong.</returns>
    internal static BrokerPolicy? Read(byte[] json, out IReadOnlyList<PolicyFault> faults)
    {
        PolicyReader reader = new(json);
        BrokerPolicy? policy = null;
        if (PolicyNode.Parse(json, out PolicyFault broken) is { } root)
            policy = reader.ReadTop(root);
        else
            reader._faults.Add(broken);
        faults = [.. reader._faults.OrderBy(fault => (fault.Line, fault.Column))];
        return faults.Count == 0 ? policy : null;
    }

    private BrokerPolicy ReadTop(PolicyNode root)
    {
        Dictionary<string, PolicyNode> members = Members(root, "the policy", TopMembers);
        ReadDevices(Need(members, root, "devices", "the policy"));
        List<PolicyRule> rules = [];
        foreach (PolicyNode rule in Items(Need(members, root, "rules", "the policy"), "rules"))
        {
            PolicyRule read = ReadRule(rule);
            if (read.Name.Length > 0 && rules.Exists(other => other.Name == read.Name))
                Refuse(rule.At, $"there are two rules named '{read.Name}'");
            rules.Add(read);
        }

        PolicyUsers administrators = members.TryGetValue("administrators", out PolicyNode? node)
            ? ReadUsers(Members(node, "administrators", UsersMembers))
            : PolicyUsers.Nobody;
        return new BrokerPolicy(_devices, rules, administrators);
    }

    private void ReadDevices(PolicyNode? node)
    {
        if (node is null)
            return;
        if (node.Kind != JsonValueKind.Object)
        {
            Refuse(node.At, $"devices is {KindOf(node)}: write an object, with a name for each device");
            return;
        }

        if (node.Members.Count > MaxItems)
            Refuse(node.At, $"there are {node.Members.Count} devices: at most {MaxItems}");
        foreach (PolicyMember member in node.Members)
        {
            PolicyDevice device = ReadDevice(member);
            if (IsName(member.Name, member.At, "device") && !_devices.TryAdd(member.Name, device))
                Refuse(member.At, $"there are two devices named '{member.Name}'");
        }

        foreach (PolicyMember member in node.Members.Where(member => _pools.Contains(member.Name)))
            Refuse(member.At, $"'{member.Name}' is a device and a pool: give one of them another name");
    }

    private PolicyDevice ReadDevice(PolicyMember member)
    {
        PolicyNode node = member.Value;
        Dictionary<string, PolicyNode> members = Members(node, $"device '{member.Name}'", DeviceMembers);
        string? address = Text(members, "address") is { } text ? ReadAddress(members["address"].At, text) : null;
        FunctionMatch? match = members.TryGetValue("match", out PolicyNode? functions) ? ReadMatch(functions) : null;
        if (node.Kind == JsonValueKind.Object && members.ContainsKey("address") == members.ContainsKey("match"))
            Refuse(node.At, $"device '{member.Name}' needs either address or match");
        string? pool = Text(members, "pool");
        if (pool is not null && IsName(pool, members["pool"].At, "pool"))
            _pools.Add(pool);
        List<string> labels = [];
        foreach (PolicyNode label in Items(members.GetValueOrDefault("labels"), "labels"))
        {
            if (AsText(label, "a label") is not { } word || !IsName(word, label.At, "label"))
                continue;
            labels.Add(word);
            _labels.Add(word);
        }

        return new PolicyDevice(member.Name, address, match, pool, labels);
    }

    private string? ReadAddress(int at, string text)
    {
        try
        {
            DeviceAddress address = DeviceAddress.Parse(text);
            if (address.Scheme == AddressScheme.Lease)
                Refuse(at, "a broker cannot lease what another broker leases");
            else if (address.Scheme == AddressScheme.Model && !ModelCatalog.Names.Contains(address.Place))
                Refuse(at, $"there is no model '{address.Place}': there are {string.Join(", ", ModelCatalog.Names)}");
            else if (address.Scheme == AddressScheme.Unix && !address.Place.StartsWith('/'))
                Refuse(at, $"'{address.Place}' is relative to where the broker was started: write the whole path");
            return address.Text;
        }
        catch (VfioException)
        {
            Refuse(at, $"'{text}' is no address: write model:edu, 0000:01:00.0, mdev:UUID or unix:/run/x.sock");
            return null;
        }
    }

    private FunctionMatch ReadMatch(PolicyNode node)
    {
        Dictionary<string, PolicyNode> members = Members(node, "match", MatchMembers);
        if (node is { Kind: JsonValueKind.Object, Members.Count: 0 })
            Refuse(node.At, $"match is empty: write at least one of {string.Join(", ", MatchMembers)}");
        return new FunctionMatch(
            Text(members, "driver"),
            Text(members, "ids") is { } ids ? ReadHexStart(members["ids"].At, "ids", ids) : null,
            Text(members, "class") is { } code ? ReadHexStart(members["class"].At, "class", code) : null,
            Text(members, "group"));
    }

    private PolicyRule ReadRule(PolicyNode node)
    {
        Dictionary<string, PolicyNode> members = Members(node, "a rule", RuleMembers);
        string name = Text(members, "name") ?? "";
        if (node.Kind == JsonValueKind.Object && Need(members, node, "name", "a rule") is { } named)
            IsName(name, named.At, "rule");
        if (node.Kind == JsonValueKind.Object && !members.ContainsKey("users") && !members.ContainsKey("groups"))
            Refuse(node.At, $"rule '{name}' is about nobody: write users, groups or both; \"users\": [\"*\"] is everybody");
        List<DeviceSelector> devices = [];
        if (node.Kind == JsonValueKind.Object)
        {
            foreach (PolicyNode item in Items(Need(members, node, "devices", $"rule '{name}'"), "devices"))
            {
                if (AsText(item, "a device") is { } text && ReadSelector(item.At, text) is { } selector)
                    devices.Add(selector);
            }
        }

        bool isRefusal = Flag(members, "refuse");
        foreach (string term in RuleMembers[5..].Where(term => isRefusal && members.ContainsKey(term)))
            Refuse(members[term].At, $"rule '{name}' refuses: it has no {term}");
        LeaseTerms terms = ReadTerms(members);
        foreach (string term in NotDirect.Where(term => terms.IsDirect && members.ContainsKey(term)))
            Refuse(members[term].At, $"rule '{name}' is direct: its user has the kernel's descriptors, and nobody can see to {term}");
        return new PolicyRule(name, ReadUsers(members), devices, isRefusal, terms);
    }

    private LeaseTerms ReadTerms(Dictionary<string, PolicyNode> members) => new()
    {
        MemoryBytes = Size(members, "memory"),
        Mappings = (int?)Number(members, "mappings", 1, MaxMappings),
        LeaseTime = Time(members, "leaseTime", mayBeZero: false),
        IdleTime = Time(members, "idleTime", mayBeZero: false),
        ReturnTime = Time(members, "returnTime", mayBeZero: true) ?? TimeSpan.Zero,
        Holds = (int?)Number(members, "holds", 1, MaxItems),
        IsDirect = Flag(members, "direct"),
        ConfigRules = [.. Items(members.GetValueOrDefault("configRules"), "configRules").Select(ReadConfigRule)],
    };

    private ConfigRule ReadConfigRule(PolicyNode node)
    {
        Dictionary<string, PolicyNode> members = Members(node, "a config rule", ConfigRuleMembers);
        uint offset = node.Kind == JsonValueKind.Object ? HexNumber(Need(members, node, "offset", "a config rule"), "offset") : 0;
        if (offset % 4 != 0 || offset >= ConfigBytes)
            Refuse(members["offset"].At, $"offset 0x{offset:x} is no dword of config space: a multiple of 4 below 0x{ConfigBytes:x}");
        return new ConfigRule((int)offset, HexNumber(members.GetValueOrDefault("read"), "read"), HexNumber(members.GetValueOrDefault("write"), "write"));
    }

    private PolicyUsers ReadUsers(Dictionary<string, PolicyNode> members)
    {
        HashSet<uint> users = [], groups = [];
        bool isEverybody = false;
        foreach (PolicyNode item in Items(members.GetValueOrDefault("users"), "users"))
        {
            if (item is { Kind: JsonValueKind.String, Text: "*" })
                isEverybody = true;
            else if (ReadAccount(item, "user", FindUser) is { } user)
                users.Add(user);
        }

        foreach (PolicyNode item in Items(members.GetValueOrDefault("groups"), "groups"))
        {
            if (ReadAccount(item, "group", UserAccount.FindGroup) is { } group)
                groups.Add(group);
        }

        return new PolicyUsers(users, groups, isEverybody);
    }

    private static uint? FindUser(string name)
    {
        try
        {
            return UserAccount.Find(name).UserId;
        }
        catch (VfioException)
        {
            return null;
        }
    }

    private uint? ReadAccount(PolicyNode item, string kind, Func<string, uint?> find)
    {
        if (item.Kind == JsonValueKind.Number)
        {
            if (uint.TryParse(item.Text, NumberStyles.None, CultureInfo.InvariantCulture, out uint number) && number != uint.MaxValue)
                return number;
            Refuse(item.At, $"{item.Text} is no number of a {kind}");
            return null;
        }

        if (AsText(item, $"a {kind}") is not { } name)
            return null;

        // To the C library a NUL would end the name.
        if (!name.Contains('\0') && find(name) is { } found)
            return found;
        Refuse(item.At, $"this machine has no {kind} '{name}': see 'getent {(kind == "user" ? "passwd" : "group")}'");
        return null;
    }

    private DeviceSelector? ReadSelector(int at, string text)
    {
        if (text == "*")
            return new DeviceSelector(SelectorKind.All, "");
        if (PciAddress.TryParse(text, out PciAddress function))
            return new DeviceSelector(SelectorKind.Address, function.ToString());
        if (text.IndexOf(':') is > 0 and int colon)
        {
            string value = text[(colon + 1)..];
            switch (text[..colon])
            {
                case "label":
                    if (!_labels.Contains(value))
                        Refuse(at, $"no device has the label '{value}'");
                    return new DeviceSelector(SelectorKind.Label, value);
                case "model":
                    if (!ModelCatalog.Names.Contains(value))
                        Refuse(at, $"there is no model '{value}': there are {string.Join(", ", ModelCatalog.Names)}");
                    return new DeviceSelector(SelectorKind.Model, value);
                case "ids":
                    return new DeviceSelector(SelectorKind.Ids, ReadHexStart(at, "ids", value));
                case "class":
                    return new DeviceSelector(SelectorKind.Class, ReadHexStart(at, "class", value));
                case "driver":
                    return new DeviceSelector(SelectorKind.Driver, value);
                case "group":
                    return new DeviceSelector(SelectorKind.Group, value);
                default:
                    Refuse(at, $"'{text}' begins with none of label:, model:, ids:, class:, driver:, group:");
                    return null;
            }
        }

        if (!_devices.ContainsKey(text) && !_pools.Contains(text))
            Refuse(at, $"there is no device or pool '{text}'");
        return new DeviceSelector(SelectorKind.Name, text);
    }

    private string ReadHexStart(int at, string what, string text)
    {
        string digits = text.ToLowerInvariant();
        string all = digits.Replace(":", "", StringComparison.Ordinal);
        bool isRight = what == "ids"
            ? digits.Length is 4 or 9 && (digits.Length == 4 ? all.Length == 4 : digits[4] == ':' && all.Length == 8)
            : digits.Length is 2 or 4 or 6 && all.Length == digits.Length;
        if (!isRight || all.AsSpan().ContainsAnyExcept("0123456789abcdef"))
            Refuse(at, what == "ids" ? $"'{text}' is no ids: write 8086 or 8086:10ca" : $"'{text}' is no class: write 02, 0200 or 020000");
        return digits;
    }

    private bool IsName(string name, int at, string what)
    {
        bool isName = name.Length is > 0 and <= MaxNameLength && char.IsAsciiLetterOrDigit(name[0])
            && name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '_' or '.');
        if (!isName)
            Refuse(at, $"'{name}' is no name of a {what}: a letter or digit, then letters, digits, '-', '_' and '.', at most {MaxNameLength}");
        return isName;
    }

    private Dictionary<string, PolicyNode> Members(PolicyNode node, string what, string[] known)
    {
        Dictionary<string, PolicyNode> members = new(StringComparer.Ordinal);
        if (node.Kind != JsonValueKind.Object)
            Refuse(node.At, $"{what} is {KindOf(node)}: write an object");
        foreach (PolicyMember member in node.Members)
        {
            if (!known.Contains(member.Name))
                Refuse(member.At, $"{what} has no '{member.Name}': it has {string.Join(", ", known)}");
            else if (!members.TryAdd(member.Name, member.Value))
                Refuse(member.At, $"'{member.Name}' is there twice");
        }

        return members;
    }

    private PolicyNode? Need(Dictionary<string, PolicyNode> members, PolicyNode of, string name, string what)
    {
        if (members.TryGetValue(name, out PolicyNode? node))
            return node;
        if (of.Kind == JsonValueKind.Object)
            Refuse(of.At, $"{what} needs {name}");
        return null;
    }

    private IReadOnlyList<PolicyNode> Items(PolicyNode? node, string what)
    {
        if (node is null)
            return [];
        if (node.Kind != JsonValueKind.Array)
            Refuse(node.At, $"{what} is {KindOf(node)}: write an array, [ ... ]");
        if (node.Items.Count > MaxItems)
            Refuse(node.At, $"{what} has {node.Items.Count} items: at most {MaxItems}");
        return node.Items.Count > MaxItems ? [] : node.Items;
    }

    private string? Text(Dictionary<string, PolicyNode> members, string name) =>
        members.TryGetValue(name, out PolicyNode? node) ? AsText(node, name) : null;

    private string? AsText(PolicyNode node, string what)
    {
        if (node.Kind == JsonValueKind.String)
            return node.Text;
        Refuse(node.At, $"{what} is {KindOf(node)}: write a text, \"...\"");
        return null;
    }

    private bool Flag(Dictionary<string, PolicyNode> members, string name)
    {
        if (!members.TryGetValue(name, out PolicyNode? node))
            return false;
        if (node.Kind is not (JsonValueKind.True or JsonValueKind.False))
            Refuse(node.At, $"{name} is {KindOf(node)}: write true or false");
        return node.Kind == JsonValueKind.True;
    }

    private TimeSpan? Time(Dictionary<string, PolicyNode> members, string name, bool mayBeZero)
    {
        if (Text(members, name) is not { } text)
            return null;
        if (PolicyUnits.ReadTime(text) is { } time && (mayBeZero || time > TimeSpan.Zero))
            return time;
        Refuse(members[name].At, $"{name} '{text}' is no time of up to 366 days: write 500ms, 30s, 5m, 8h or 7d");
        return null;
    }

    private ulong? Size(Dictionary<string, PolicyNode> members, string name)
    {
        if (!members.TryGetValue(name, out PolicyNode? node))
            return null;
        if (node.Kind is JsonValueKind.String or JsonValueKind.Number && PolicyUnits.ReadSize(node.Text) is { } size)
            return size;
        Refuse(node.At, $"{name} is no number of bytes: write 65536, \"64K\", \"16M\" or \"1G\"");
        return null;
    }

    private long? Number(Dictionary<string, PolicyNode> members, string name, long least, long most)
    {
        if (!members.TryGetValue(name, out PolicyNode? node))
            return null;
        if (node.Kind == JsonValueKind.Number && long.TryParse(node.Text, NumberStyles.None, CultureInfo.InvariantCulture, out long number)
            && number >= least && number <= most)
            return number;
        Refuse(node.At, $"{name} is no whole number from {least} to {most}");
        return null;
    }

    private uint HexNumber(PolicyNode? node, string name)
    {
        if (node is null)
            return 0;
        if (node.Kind is JsonValueKind.String or JsonValueKind.Number && PolicyUnits.ReadNumber(node.Text) is { } number)
            return number;
        Refuse(node.At, $"{name} is no number of 32 bits: write 4 or \"0x40\"");
        return 0;
    }

    private static string KindOf(PolicyNode node) => node.Kind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.String => "a text",
        JsonValueKind.Number => "a number",
        JsonValueKind.Null => "null",
        _ => "true or false",
    };

    private void Refuse(int at, string reason) => _faults.Add(PolicyNode.PlaceOf(_json, at, reason));
}
