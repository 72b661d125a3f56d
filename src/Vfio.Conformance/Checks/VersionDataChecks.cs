using System.Text.Json;
using Vfio.User;
using Vfio.User.Wire;

namespace Vfio.Conformance;

/// <summary>VERSION: the JSON.</summary>
internal static class VersionDataChecks
{
    internal static IEnumerable<Check> All =>
    [
        Taken("no-data", "The version data is optional.", null),
        Taken("empty-object", "The capabilities are optional.", "{}"),
        Taken("empty-capabilities", "Every capability is optional.", """{"capabilities":{}}"""),
        Taken("white-space", "The version data is JSON, in which white space is free.",
            "{ \n\t\"capabilities\" : { \"max_msg_fds\" : 8 } }"),
        Taken("unknown-capability", "Capabilities may be added in later minor versions: one that is not known is passed over.",
            """{"capabilities":{"max_msg_fds":8,"x_unknown":{"deep":[1,2,{"er":null}]}}}"""),
        Taken("unknown-object", "Other objects may come beside the capabilities.", """{"other":[1,2],"capabilities":{"max_msg_fds":8}}"""),
        Subset("subset-of-none", """{"capabilities":{}}"""),
        Subset("subset-of-one", """{"capabilities":{"max_msg_fds":8}}"""),
        Subset("subset-of-limits", """{"capabilities":{"max_data_xfer_size":65536,"max_dma_maps":100,"pgsizes":4096}}"""),
        Subset("subset-of-unknown", """{"capabilities":{"x_unknown":true}}"""),
        new("version-data.types", Sections.Version, "Limits are numbers, write_multiple is a boolean, twin_socket an object.", trial =>
        {
            return CapabilitiesJson.TryRead(trial.Open(Requests.AllCapabilities).Agreed!.VersionData, out _)
                ? Outcome.Pass()
                : Outcome.Violation("a known capability has a value of another type, or the data is no JSON ended by NUL");
        }),
        new("version-data.page-sizes", Sections.Version,
            "pgsizes are the page sizes of DMA ranges, or'ed together: 4096 where nothing is said.", trial =>
        {
            ulong sizes = Offered(trial).PageSizes ?? 4096;
            return sizes != 0 && (sizes & 4095) == 0 ? Outcome.Pass($"0x{sizes:x}")
                : Outcome.Differs($"0x{sizes:x} is no multiple of 4096");
        }),
        new("version-data.transfer-size", Sections.Version,
            "max_data_xfer_size bounds the data of one message: 1 MiB where nothing is said.", trial =>
        {
            ulong bytes = Offered(trial).MaxDataTransferBytes ?? Protocol.DefaultDataTransferBytes;
            return bytes >= 8 ? Outcome.Pass($"{bytes}") : Outcome.Violation($"{bytes} bytes are too few for one register");
        }),
        Broken("no-nul", "The version data ends with a NUL.", Requests.Version(nul: false), Outcome.Differs),
        Broken("half-json", "The version data is JSON.", Requests.Version("""{"capabilities":{"max_msg_fds":"""), Outcome.Violation),
        Broken("no-json", "The version data is JSON.", Requests.Version("max_msg_fds=8"), Outcome.Violation),
        Broken("array", "The version data is a JSON object.", Requests.Version("[1,2]"), Outcome.Differs),
        Broken("capabilities-as-number", "The capabilities are an object.", Requests.Version("""{"capabilities":7}"""), Outcome.Differs),
        Broken("descriptors-as-text", "max_msg_fds is a number.", Requests.Version("""{"capabilities":{"max_msg_fds":"8"}}"""),
            Outcome.Differs),
        Broken("transfer-as-object", "max_data_xfer_size is a number.", Requests.Version("""{"capabilities":{"max_data_xfer_size":{}}}"""),
            Outcome.Differs),
        Broken("transfer-negative", "max_data_xfer_size is a count of bytes.",
            Requests.Version("""{"capabilities":{"max_data_xfer_size":-1}}"""), Outcome.Differs),
        Broken("twin-socket-as-number", "twin_socket is an object.", Requests.Version("""{"capabilities":{"twin_socket":1}}"""),
            Outcome.Differs),
        Survived("nested", "JSON nested a thousand deep is refused or read.",
            "{\"x\":" + new string('[', 1000) + new string(']', 1000) + "}"),
        Survived("long", "Version data of 64 KiB is refused or read.", "{\"x\":\"" + new string('y', 65536) + "\"}"),
        Survived("huge-numbers", "Numbers beyond 64 bits are refused or bounded.",
            """{"capabilities":{"max_msg_fds":1e300,"max_dma_maps":99999999999999999999999}}"""),
        Survived("zero-limits", "A client that takes no descriptors and no data is served or turned away.",
            """{"capabilities":{"max_msg_fds":0,"max_data_xfer_size":0}}"""),
        new("version-data.twin-socket", Sections.Version,
            "A server that enables the twin socket passes it, and says at which index of the descriptors.", trial =>
        {
            Peer peer = trial.Open("""{"capabilities":{"max_msg_fds":8,"twin_socket":{"supported":true}}}""");
            Capabilities theirs = Read(peer.Agreed!);
            if (theirs.TwinSocket is not true)
                return Outcome.Skipped("the server offers no twin socket");
            int count = peer.Agreed!.Descriptors.Count;
            return theirs.TwinSocketDescriptor is uint index && index < count
                ? Outcome.Pass()
                : Outcome.Violation($"fd_index {theirs.TwinSocketDescriptor?.ToString() ?? "missing"} with {count} descriptors");
        }),
        new("version-data.twin-socket-unasked", Sections.Version, "A twin socket is made only for a client that supports it.", trial =>
        {
            Peer peer = trial.Open("""{"capabilities":{"max_msg_fds":8,"twin_socket":{"supported":false}}}""");
            bool made = peer.Agreed!.Descriptors.Count > 0 || Read(peer.Agreed!).TwinSocket is true;
            return made ? Outcome.Violation("a twin socket was made") : Outcome.Pass();
        }),
    ];

    private static Capabilities Offered(Trial trial) => Read(trial.Open().Agreed!);

    private static Capabilities Read(Received reply) =>
        CapabilitiesJson.TryRead(reply.VersionData, out Capabilities read)
        ? read
        : throw CheckEndedException.Violation("the version data of the reply cannot be read");

    private static Check Taken(string name, string rule, string? json) => new($"version-data.{name}", Sections.Version, rule, trial =>
    {
        Peer peer = trial.Connect();
        peer.MustDo(Requests.Version(json));
        peer.MustGoOn();
        return Outcome.Pass();
    });

    private static Check Subset(string name, string json) => new(
        $"version-data.{name}", Sections.Version, "The capabilities of the reply are a subset of those proposed.", trial =>
        {
            string[] extra = [.. Names(trial.Open(json).Agreed!.VersionData).Except(Names(Requests.Version(json).Body.AsSpan(4)))];
            return extra.Length == 0 ? Outcome.Pass() : Outcome.Violation($"not proposed: {string.Join(", ", extra)}");
        });

    private static Check Broken(string name, string rule, Request request, Func<string, Outcome> whenTaken) => new(
        $"version-data.{name}", Sections.Version, rule, trial =>
        {
            Outcome outcome = Expect.NotObeyed(trial.Connect(), request.ToMessage(1));
            return outcome.Verdict == Verdict.Violation && outcome.Reason.StartsWith("it was", StringComparison.Ordinal)
                ? whenTaken("it was accepted")
                : outcome;
        });

    private static Check Survived(string name, string rule, string json) => new(
        $"version-data.{name}", Sections.Security, rule, trial =>
        {
            Peer peer = trial.Connect();
            peer.Send(Requests.Version(json));
            return peer.Await(out Received? reply) switch
            {
                Arrival.Closed => Outcome.Pass("the server closed the connection"),
                Arrival.Silence => Outcome.Violation("the server neither answered nor closed"),
                _ => Outcome.Pass(reply!.IsRefusal ? reply.Refusal : "accepted"),
            };
        });

    /// <summary>The names of the capabilities in version data.</summary>
    private static HashSet<string> Names(ReadOnlySpan<byte> data)
    {
        int end = data.IndexOf((byte)0);
        if (data.Length > 0 && end < 0)
            throw CheckEndedException.Violation("the version data of the reply has no NUL");
        if (data.Length == 0)
            return [];
        try
        {
            using JsonDocument document = JsonDocument.Parse(data[..end].ToArray());
            return document.RootElement.TryGetProperty("capabilities", out JsonElement capabilities)
                ? [.. capabilities.EnumerateObject().Select(capability => capability.Name)]
                : [];
        }
        catch (Exception mistake) when (mistake is JsonException or InvalidOperationException)
        {
            throw CheckEndedException.Violation($"the version data of the reply is no JSON of an object with capabilities: {mistake.Message}");
        }
    }
}
