using System.Net;
using System.Text.Json;
using Vfio.Broker;
using Vfio.Native;
using Vfio.User;
using Vfio.User.Leases;

namespace Vfio.Tests.Broker;

/// <summary>A broker in this process, with a policy, a socket and an audit of its own.</summary>
internal sealed class BrokerRig : IDisposable
{
    internal static readonly TimeSpan TestTimeout = HangGuard.Timeout;
    private readonly string _folder = MakeFolder();
    private readonly DeviceBrokerOptions _options;

    /// <summary>Starts it.</summary>
    /// <param name="rules">The policy's rules, as JSON.</param>
    /// <param name="devices">The policy's devices, as JSON.</param>
    /// <param name="requestTimeout">How long a connection may be silent.</param>
    /// <param name="audit">The file of the audit; null for one of its own.</param>
    /// <param name="hasSuccessor">Whether another may take over: <see cref="Replace"/>.</param>
    internal BrokerRig(string rules, string devices = Edu, TimeSpan? requestTimeout = null, string? audit = null, bool hasSuccessor = false)
    {
        Write(rules, devices);
        AuditPath = audit ?? Path.Combine(_folder, "audit");
        _options = new DeviceBrokerOptions
        {
            PolicyPath = PolicyPath,
            SocketPath = SocketPath,
            AuditPath = AuditPath,
            RequestTimeout = requestTimeout ?? TestTimeout,
            HandoverPath = hasSuccessor ? NextPath : null,
            MetricsPlace = new IPEndPoint(IPAddress.Loopback, 0),
        };
        Broker = new DeviceBroker(_options);
    }

    /// <summary>Two edu devices of one pool.</summary>
    internal const string Edu = """ "edu0": { "address": "model:edu", "pool": "edus" }, "edu1": { "address": "model:edu", "pool": "edus" } """;

    /// <summary>Everything for everybody.</summary>
    internal const string All = """{ "name": "all", "users": ["*"], "devices": ["*"] }""";

    internal DeviceBroker Broker { get; private set; }

    internal string SocketPath => Path.Combine(_folder, "s");

    /// <summary>Where another broker may take over.</summary>
    internal string NextPath => Path.Combine(_folder, "next");

    internal string PolicyPath => Path.Combine(_folder, "policy.json");

    internal string AuditPath { get; }

    /// <summary>A folder that other users can enter.</summary>
    internal static string MakeFolder()
    {
        string folder = Directory.CreateTempSubdirectory("vfio-broker-").FullName;
        File.SetUnixFileMode(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
            | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
        return folder;
    }

    /// <summary>Writes another policy.</summary>
    internal void Write(string rules, string devices = Edu)
    {
        string next = PolicyPath + ".next";
        File.WriteAllText(next, $$"""{ "devices": { {{devices}} }, "rules": [ {{rules}} ] }""");
        File.Move(next, PolicyPath, overwrite: true);
    }

    /// <summary>Starts another broker, which takes over from this one.</summary>
    /// <param name="keepsMetricsPlace">Whether its metrics are to be had where this one's are.</param>
    internal void Replace(bool keepsMetricsPlace = false)
    {
        IPEndPoint? metrics = keepsMetricsPlace ? Broker.MetricsPlace : _options.MetricsPlace;
        DeviceBroker next = new(_options with { TakeOverPath = NextPath, MetricsPlace = metrics });
        Assert.True(Broker.Departed.Wait(TestTimeout));
        Broker.Dispose();
        Broker = next;
    }

    /// <summary>The address of a device for <see cref="VfioDevice"/>.</summary>
    internal string AddressOf(string name) => $"lease:{name}?broker={SocketPath}";

    /// <summary>Opens a device as this user.</summary>
    internal PciDevice Open(string name) => new(VfioDevice.Open(AddressOf(name)));

    /// <summary>Connects as this user.</summary>
    internal BrokerClient Connect() => BrokerClient.Connect(SocketPath, TestTimeout);

    /// <summary>Connects as another user.</summary>
    internal BrokerClient ConnectAs(uint user, params int[] groups) =>
        BrokerClient.Over(OtherUser.Connect(SocketPath, user, groups), SocketPath, TestTimeout);

    /// <summary>Opens a device as another user.</summary>
    internal PciDevice OpenAs(uint user, string name)
    {
        using BrokerClient broker = ConnectAs(user);
        return new PciDevice(broker.Open(name, new VfioUserClientOptions()));
    }

    /// <summary>Holds a device; disposing the connection ends that.</summary>
    internal static LeaseRecord Hold(BrokerClient broker, string name) =>
        broker.Ask(new BrokerRequest { Do = BrokerVerbs.Hold, Name = name }, name).Lease!;

    /// <summary>Ends a lease.</summary>
    internal static void Revoke(BrokerClient broker, int lease, bool now = true) =>
        broker.Ask(new BrokerRequest { Do = BrokerVerbs.Revoke, Lease = lease, Now = now }, "a lease");

    /// <summary>Waits until nobody has anything.</summary>
    internal void WaitUntilFree() => Assert.True(SpinWait.SpinUntil(() => Broker.LeaseCount == 0, TestTimeout), "a lease does not end");

    /// <summary>The lines of the audit so far.</summary>
    internal IReadOnlyList<JsonElement> Audit() => [.. File.ReadAllLines(AuditPath).Select(line => JsonDocument.Parse(line).RootElement)];

    /// <summary>Waits for a line of the audit.</summary>
    internal JsonElement Audited(string happened, int? lease = null)
    {
        JsonElement? Find()
        {
            foreach (JsonElement line in Audit())
            {
                if (line.GetProperty("event").GetString() == happened
                    && (lease is null || (line.TryGetProperty("lease", out JsonElement of) && of.GetInt32() == lease)))
                    return line;
            }

            return null;
        }

        Assert.True(SpinWait.SpinUntil(() => Find() is not null, TestTimeout), $"the audit has no {happened}");
        return Find()!.Value;
    }

    public void Dispose()
    {
        Broker.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
