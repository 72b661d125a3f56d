using System.Text;
using System.Text.Json;
using Vfio.Broker;
using Vfio.Broker.Policies;

namespace Vfio.Tests.Broker;

/// <summary>Policies: what is valid is read whole, and everything else is refused with its place.</summary>
public sealed class PolicyReaderTests
{
    private const string Whole = """
        {
          // Who may have what.
          "$schema": "policy.schema.json",
          "devices": {
            "edu0": { "address": "model:edu", "pool": "teaching", "labels": ["lab"] },
            "edu1": { "address": "model:edu", "pool": "teaching" },
            "nic": { "match": { "driver": "vfio-pci", "ids": "8086:10CA", "class": "0200", "group": "7" } },
            "disk": { "address": "model:nvme?size=1M" },
          },
          "rules": [
            {
              "name": "students", "users": ["root", 65534], "groups": ["root", 65534], "devices": ["teaching", "label:lab"],
              "memory": "64M", "mappings": 100, "leaseTime": "8h", "idleTime": "5min", "returnTime": "30s", "holds": 2,
              "configRules": [{ "offset": "0x40", "read": "0xffffffff", "write": 255 }],
            },
            { "name": "nobody-else", "users": ["*"], "devices": ["*"], "refuse": true },
          ],
          "administrators": { "users": ["root"] },
        }
        """;

    [Fact]
    public void A_policy_is_read_whole()
    {
        BrokerPolicy policy = Read(Whole);
        Assert.Equal(["disk", "edu0", "edu1", "nic"], policy.Devices.Keys.Order());
        Assert.Equal("teaching", policy.Devices["edu1"].Pool);
        Assert.Equal(["lab"], policy.Devices["edu0"].Labels);
        Assert.Equal(new FunctionMatch("vfio-pci", "8086:10ca", "0200", "7"), policy.Devices["nic"].Match);
        PolicyRule students = policy.Rules[0];
        Assert.Equal([0u, 65534u], students.Users.Users.Order());
        Assert.Equal([0u, 65534u], students.Users.Groups.Order());
        Assert.Equal(64UL << 20, students.Terms.MemoryBytes);
        Assert.Equal(100, students.Terms.Mappings);
        Assert.Equal(TimeSpan.FromHours(8), students.Terms.LeaseTime);
        Assert.Equal(TimeSpan.FromMinutes(5), students.Terms.IdleTime);
        Assert.Equal(TimeSpan.FromSeconds(30), students.Terms.ReturnTime);
        Assert.Equal(2, students.Terms.Holds);
        Assert.Equal([new ConfigRule(0x40, 0xffff_ffff, 0xff)], students.Terms.ConfigRules);
        Assert.True(policy.Rules[1].IsRefusal);
        Assert.True(policy.Rules[1].Users.IsEverybody);
        Assert.Equal([0u], policy.Administrators.Users);
    }

    [Fact]
    public void A_policy_that_is_cut_off_anywhere_is_refused()
    {
        byte[] bytes = Encoding.UTF8.GetBytes(Whole);
        int last = Whole.LastIndexOf('}');
        for (int length = 0; length <= last; length++)
        {
            Assert.Null(PolicyReader.Read(bytes[..length], out IReadOnlyList<PolicyFault> faults));
            Assert.NotEmpty(faults);
        }
    }

    [Theory]
    [InlineData("", 1, 1)]
    [InlineData("[]", 1, 1)]
    [InlineData("{}", 1, 1)]
    [InlineData("{\n  \"devices\": {},\n  \"rules\": [],\n  \"rulez\": []\n}", 4, 3)]
    [InlineData("{\n  \"devices\": {}\n  \"rules\": []\n}", 3, 3)]
    [InlineData("{ \"devices\": {}, \"rules\": [], \"rules\": [] }", 1, 31)]
    [InlineData("{ \"devices\": { \"a b\": { \"address\": \"model:edu\" } }, \"rules\": [] }", 1, 16)]
    [InlineData("{ \"devices\": { \"a\": { \"address\": \"model:none\" } }, \"rules\": [] }", 1, 34)]
    [InlineData("{ \"devices\": { \"a\": { \"address\": \"lease:b\" } }, \"rules\": [] }", 1, 34)]
    [InlineData("{ \"devices\": { \"a\": { \"address\": \"unix:relative\" } }, \"rules\": [] }", 1, 34)]
    [InlineData("{ \"devices\": { \"a\": { \"address\": 7 } }, \"rules\": [] }", 1, 34)]
    [InlineData("{ \"devices\": { \"a\": { } }, \"rules\": [] }", 1, 21)]
    [InlineData("{ \"devices\": { \"a\": { \"match\": { } } }, \"rules\": [] }", 1, 32)]
    [InlineData("{ \"devices\": { \"a\": { \"match\": { \"ids\": \"80:86\" } } }, \"rules\": [] }", 1, 41)]
    [InlineData("{ \"devices\": { \"ä\": { \"address\": \"model:edu\" }, \"b\": 1 }, \"rules\": [] }", 1, 16)]
    [InlineData("{ \"devices\": {}, \"rules\": [ { \"name\": \"r\", \"users\": [\"*\"], \"devices\": [\"none\"] } ] }", 1, 72)]
    [InlineData("{ \"devices\": {}, \"rules\": [ { \"name\": \"r\", \"users\": [\"no-such-user\"], \"devices\": [\"*\"] } ] }", 1, 54)]
    [InlineData("{ \"devices\": {}, \"rules\": [ { \"name\": \"r\", \"groups\": [\"no-such-group\"], \"devices\": [\"*\"] } ] }", 1, 55)]
    [InlineData("{ \"devices\": {}, \"rules\": [ { \"name\": \"r\", \"users\": [-1], \"devices\": [\"*\"] } ] }", 1, 54)]
    [InlineData("{ \"devices\": {}, \"rules\": [ { \"name\": \"r\", \"devices\": [\"*\"] } ] }", 1, 29)]
    [InlineData("{ \"devices\": {}, \"rules\": [ { \"users\": [\"*\"], \"devices\": [\"*\"] } ] }", 1, 29)]
    [InlineData("{ \"devices\": {}, \"rules\": [ { \"name\": \"r\", \"users\": [\"*\"], \"devices\": [\"*\"], \"memory\": \"1X\" } ] }", 1, 88)]
    [InlineData("{ \"devices\": {}, \"rules\": [ { \"name\": \"r\", \"users\": [\"*\"], \"devices\": [\"*\"], \"memory\": -1 } ] }", 1, 88)]
    [InlineData("{ \"devices\": {}, \"rules\": [ { \"name\": \"r\", \"users\": [\"*\"], \"devices\": [\"*\"], \"direct\": true, \"memory\": \"1K\" } ] }", 1, 104)]
    [InlineData("{ \"devices\": {}, \"rules\": [ { \"name\": \"r\", \"users\": [\"*\"], \"devices\": [\"*\"], \"holds\": 0 } ] }", 1, 87)]
    [InlineData("{ \"devices\": {}, \"rules\": [ { \"name\": \"r\", \"users\": [\"*\"], \"devices\": [\"*\"], \"leaseTime\": \"8\" } ] }", 1, 91)]
    [InlineData("{ \"devices\": {}, \"rules\": [ { \"name\": \"r\", \"users\": [\"*\"], \"devices\": [\"*\"], \"leaseTime\": \"0s\" } ] }", 1, 91)]
    [InlineData("{ \"devices\": {}, \"rules\": [ { \"name\": \"r\", \"users\": [\"*\"], \"devices\": [\"*\"], \"mappings\": 65536 } ] }", 1, 90)]
    [InlineData("{ \"devices\": {}, \"rules\": [ { \"name\": \"r\", \"users\": [\"*\"], \"devices\": [\"*\"], \"refuse\": \"yes\" } ] }", 1, 88)]
    [InlineData("{ \"devices\": {}, \"rules\": [ { \"name\": \"r\", \"users\": [\"*\"], \"devices\": [\"*\"], \"refuse\": true, \"holds\": 1 } ] }", 1, 103)]
    [InlineData("{ \"devices\": {}, \"rules\": [ { \"name\": \"r\", \"users\": [\"*\"], \"devices\": [\"label:x\"] } ] }", 1, 72)]
    [InlineData("{ \"devices\": {}, \"rules\": [ { \"name\": \"r\", \"users\": [\"*\"], \"devices\": [\"color:red\"] } ] }", 1, 72)]
    [InlineData("{ \"devices\": {}, \"rules\": [], \"administrators\": { \"user\": [] } }", 1, 51)]
    public void What_is_wrong_has_its_line_and_column(string text, int line, int column)
    {
        Assert.Null(PolicyReader.Read(Encoding.UTF8.GetBytes(text), out IReadOnlyList<PolicyFault> faults));
        Assert.Equal((line, column), (faults[0].Line, faults[0].Column));
        Assert.DoesNotContain('\n', faults[0].Reason);
        Assert.DoesNotContain("LineNumber", faults[0].Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void All_that_is_wrong_is_reported_at_once()
    {
        const string Text = """
            {
              "devices": { "a": { "address": "model:none", "colour": "red" } },
              "rules": [ { "name": "r", "users": ["*"], "devices": ["b"], "holds": -1 } ],
            }
            """;
        Assert.Null(PolicyReader.Read(Encoding.UTF8.GetBytes(Text), out IReadOnlyList<PolicyFault> faults));
        Assert.Equal([2, 2, 3, 3], faults.Select(fault => fault.Line));
    }

    [Fact]
    public void Text_that_is_not_utf8_and_values_that_are_too_deep_are_refused()
    {
        Assert.Null(PolicyReader.Read([(byte)'{', 0xff, (byte)'}'], out IReadOnlyList<PolicyFault> faults));
        Assert.Single(faults);
        string deep = new string('[', 1000) + new string(']', 1000);
        Assert.Null(PolicyReader.Read(Encoding.UTF8.GetBytes(deep), out faults));
        Assert.Single(faults);
        Assert.Null(PolicyReader.Read("{ \"devices\": { \"\\ud800\": 1 }, \"rules\": [] }"u8.ToArray(), out faults));
        Assert.NotEmpty(faults);
    }

    [Fact]
    public void The_published_schema_names_just_the_members_that_are_read()
    {
        using JsonDocument schema = JsonDocument.Parse(PolicySchema.Read());
        JsonElement root = schema.RootElement, definitions = root.GetProperty("$defs");
        Assert.Equal(PolicyReader.TopMembers.Order(), NamesOf(root));
        Assert.Equal(PolicyReader.UsersMembers.Order(), NamesOf(root.GetProperty("properties").GetProperty("administrators")));
        JsonElement device = definitions.GetProperty("device"), rule = definitions.GetProperty("rule");
        Assert.Equal(PolicyReader.DeviceMembers.Order(), NamesOf(device));
        Assert.Equal(PolicyReader.MatchMembers.Order(), NamesOf(device.GetProperty("properties").GetProperty("match")));
        Assert.Equal(PolicyReader.RuleMembers.Order(), NamesOf(rule));
        Assert.Equal(
            PolicyReader.ConfigRuleMembers.Order(),
            NamesOf(rule.GetProperty("properties").GetProperty("configRules").GetProperty("items")));
    }

    private static IEnumerable<string> NamesOf(JsonElement schema)
    {
        Assert.False(schema.GetProperty("additionalProperties").GetBoolean());
        return schema.GetProperty("properties").EnumerateObject().Select(member => member.Name).Order();
    }

    private static BrokerPolicy Read(string text)
    {
        BrokerPolicy? policy = PolicyReader.Read(Encoding.UTF8.GetBytes(text), out IReadOnlyList<PolicyFault> faults);
        Assert.Empty(faults);
        return policy!;
    }
}
