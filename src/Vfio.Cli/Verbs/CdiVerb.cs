using System.CommandLine;
using System.Text.Json;
using Vfio.Broker.Policies;
using Vfio.Cli.Output;
using Vfio.User.Leases;

namespace Vfio.Cli.Verbs;

/// <summary>Prints the broker's devices as a CDI specification, for containers.</summary>
internal sealed class CdiVerb() : Verb("cdi", "Print the broker's devices as a CDI specification, by which container engines give them to containers.")
{
    // Container Device Interface, SPEC.md of cncf-tags/container-device-interface: the oldest version with all that is used here.
    private const string Version = "0.5.0";

    /// <inheritdoc/>
    internal override IReadOnlyList<Example> Examples =>
    [
        new("vfio cdi --policy /etc/vfio/policy.json > /etc/cdi/vfio.json", "for podman, containerd and others that read /etc/cdi"),
        new("podman run --device vfio.dev/device=edu0 IMAGE PROGRAM", "a program that opens the address in VFIO_DEVICE"),
    ];

    /// <inheritdoc/>
    protected override void Define(Command command)
    {
        Option<string> policy = new("--policy") { HelpName = "file", Description = "The broker's policy.", Required = true };
        Option<string?> place = SharedOptions.Broker();
        command.Add(policy);
        command.Add(place);
        command.SetAction(parsed =>
        {
            BrokerPolicy read = PolicyFile.Load(parsed.GetValue(policy)!, checkOwner: false);
            string socket = Path.GetFullPath(parsed.GetValue(place) ?? BrokerPlace.ToAsk);
            IEnumerable<string> names = read.Devices.Keys.Concat(read.Devices.Values.Select(device => device.Pool).OfType<string>());
            Json.Print(parsed.InvocationConfiguration.Output, writer => Write(writer, socket, names.Distinct().Order(StringComparer.Ordinal)));
        });
    }

    private static void Write(Utf8JsonWriter json, string socket, IEnumerable<string> names)
    {
        json.WriteStartObject();
        json.WriteString("cdiVersion", Version);
        json.WriteString("kind", "vfio.dev/device");
        json.WriteStartArray("devices");
        foreach (string name in names)
        {
            json.WriteStartObject();
            json.WriteString("name", name);
            json.WriteStartObject("containerEdits");
            WriteTexts(json, "env", $"VFIO_DEVICE=lease:{name}");
            json.WriteEndObject();
            json.WriteEndObject();
        }

        json.WriteEndArray();

        // A container gets the broker's socket, and no device node: the broker asks the policy who its user is.
        json.WriteStartObject("containerEdits");
        WriteTexts(json, "env", $"{BrokerPlace.Variable}={BrokerPlace.OfMachine}");
        json.WriteStartArray("mounts");
        json.WriteStartObject();
        json.WriteString("hostPath", socket);
        json.WriteString("containerPath", BrokerPlace.OfMachine);
        WriteTexts(json, "options", "rw", "bind");
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteTexts(Utf8JsonWriter json, string name, params ReadOnlySpan<string> texts)
    {
        json.WriteStartArray(name);
        foreach (string text in texts)
            json.WriteStringValue(text);
        json.WriteEndArray();
    }
}
